//! Money rules over the store: orders, settlement, top-ups, refunds, audit, receipts.
