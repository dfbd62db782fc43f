//! What can be asked of KIE.ai and what it costs: models, input schemas, cost rules.
