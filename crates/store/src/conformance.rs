//! Every promise of the ports as test functions, run on every adapter by one line.
//!
//! An adapter's test binary has a function that opens a fresh, empty, migrated database and a guard that removes it:
//!
//! ```text
//! async fn store() -> (Arc<dyn Store>, impl Drop) { … }
//! store::conformance_tests!(store);
//! ```
//!
//! The line expands to one `#[tokio::test]` per promise, named `promises::<noun>::<promise>`. Each gets a database of
//! its own, and after each the audit must be clean.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "these are tests that adapters call: a panic is how they fail"
)]

pub mod accounts;
pub mod assets;
pub mod callbacks;
pub mod claims;
pub mod deliveries;
pub mod evidence;
mod fixture;
pub mod histories;
pub mod imports;
pub mod listing;
pub mod money;
mod moves;
pub mod orders;
pub mod readings;
pub mod reports;
pub mod slots;
pub mod steps;
pub mod timeline;
pub mod wakes;

use std::sync::Arc;

pub use fixture::Fixture;

use crate::Store;

/// Opens a database, runs one promise on it, and checks that the books are clean afterwards.
pub async fn prove<Guard, Opening, Proof>(
    open: impl FnOnce() -> Opening,
    promise: impl FnOnce(Fixture) -> Proof,
) where
    Opening: Future<Output = (Arc<dyn Store>, Guard)>,
    Proof: Future<Output = ()>,
{
    let (store, guard) = open().await;
    let fixture = Fixture::new(Arc::clone(&store));
    promise(fixture.clone()).await;
    let findings = store.audit(fixture.now()).await.expect("the audit runs");
    assert_eq!(findings, [], "the audit is clean after every promise");
    store.close().await;
    drop(guard);
}

/// Every promise of the ports as one test each, over the given function that opens a fresh database.
#[macro_export]
macro_rules! conformance_tests {
    ($store:ident) => {
        mod promises {
            $crate::conformance_group!(
                $store,
                accounts,
                [
                    an_account_is_opened_once_by_external_id,
                    an_account_is_opened_once_by_chat,
                    a_chat_belongs_to_one_account,
                    parallel_openings_are_one_account,
                    accounts_are_listed_by_id,
                    erasing_forgets_the_person_and_keeps_the_money,
                    an_erased_accounts_open_jobs_forget_their_input_at_the_end,
                    jobs_that_end_during_an_erasure_forget_their_input,
                    an_account_has_its_webhook_key,
                    a_token_names_its_account,
                    a_token_is_revoked_alone,
                    real_accounts_are_told_from_the_demos,
                    a_shop_has_one_currency,
                    parallel_openings_of_the_shop_agree,
                    heartbeats_are_kept_by_name,
                    the_clock_of_a_process_is_kept,
                    dead_processes_are_forgotten,
                    a_store_describes_itself,
                    transfers_are_shown_to_their_owner,
                ]
            );
            $crate::conformance_group!(
                $store,
                assets,
                [
                    an_upload_is_a_row_before_it_is_a_file,
                    an_asset_is_stored_once,
                    parallel_storings_are_one,
                    failed_tries_are_counted,
                    a_lost_asset_is_given_up,
                    a_place_belongs_to_one_asset,
                    assets_of_many_jobs_come_in_order,
                    an_upload_remembers_its_copy,
                    hidden_bytes_are_purged_and_leave_a_tombstone,
                    what_is_brought_back_keeps_its_bytes,
                    a_missing_file_is_given_up_once,
                    uploads_are_known_by_content_and_given_up_in_time,
                    stored_assets_are_listed_in_pages,
                    a_thumbnail_is_named_once,
                ]
            );
            $crate::conformance_group!(
                $store,
                callbacks,
                [
                    a_callback_is_kept_once_and_wakes_always,
                    parallel_callbacks_are_one_row,
                    bodies_of_two_jobs_do_not_meet,
                    a_callback_needs_its_job,
                    a_callback_after_the_end_is_only_kept,
                    callbacks_with_a_task_are_read_in_order,
                    old_callbacks_are_deleted_in_portions,
                    old_orphans_are_forgotten,
                    orphans_are_counted,
                    orphans_are_listed,
                ]
            );
            $crate::conformance_group!(
                $store,
                claims,
                [
                    a_claim_sets_lease_and_fence,
                    only_a_lease_that_ran_out_is_claimed_again,
                    a_lease_is_prolonged_by_its_holder,
                    rows_are_claimed_in_order_of_their_wake,
                    two_workers_share_two_hundred_rows,
                    an_attempt_is_committed_before_it_is_sent,
                    a_stale_claim_begins_nothing,
                    cancel_and_attempt_exclude_each_other,
                    cancel_and_claim_exclude_each_other,
                ]
            );
            $crate::conformance_group!(
                $store,
                deliveries,
                [
                    a_duty_is_owed_once,
                    a_delivery_is_due_at_once,
                    a_delivered_message_is_done,
                    a_failed_try_comes_again,
                    a_dead_letter_is_sent_again_under_its_id,
                    a_delivery_in_back_off_is_due_now,
                    a_try_under_an_old_fence_is_stale,
                    deliveries_are_claimed_by_their_channels,
                    parallel_workers_share_deliveries,
                    deliveries_of_many_jobs_come_together,
                    dead_letters_are_listed_in_pages,
                ]
            );
            $crate::conformance_group!(
                $store,
                evidence,
                [
                    a_late_answer_is_stale_but_its_task_is_saved,
                    evidence_is_saved_under_another_workers_lease,
                    a_task_belongs_to_one_attempt_for_ever,
                    a_task_needs_an_attempt,
                    parallel_evidence_is_saved_once,
                    a_step_with_another_jobs_task_writes_nothing,
                    a_step_never_replaces_a_task,
                    a_surplus_task_is_kept_without_a_wake,
                    a_task_found_after_failure_wakes_the_job,
                ]
            );
            $crate::conformance_group!($store, histories, [random_histories_keep_the_books,]);
            $crate::conformance_group!(
                $store,
                imports,
                [
                    a_user_is_taken_over_once,
                    parallel_imports_are_one,
                    a_generation_is_taken_over_whole,
                    a_refused_import_leaves_no_trace,
                    an_imported_order_is_replayed_by_its_key,
                ]
            );
            $crate::conformance_group!(
                $store,
                listing,
                [
                    pages_have_no_gaps,
                    each_filter_finds_its_jobs,
                    a_prompt_is_found_whatever_its_case,
                    a_job_is_found_by_any_of_its_tasks,
                    marks_belong_to_the_owner,
                    a_job_is_shown_to_its_owner,
                    changes_come_in_their_order,
                ]
            );
            $crate::conformance_group!(
                $store,
                money,
                [
                    parallel_topups_with_one_key_are_one,
                    parallel_topups_with_different_keys_add_up,
                    a_key_of_money_is_unique_in_the_shop,
                    money_needs_an_account,
                    a_closed_account_takes_no_money,
                    an_erasure_among_payments_is_before_or_after,
                    parallel_refunds_never_pass_the_capture,
                    a_refund_is_given_once_by_its_key,
                    only_what_was_captured_is_refunded,
                    a_reversal_takes_what_is_there,
                    a_correction_stops_at_zero,
                    a_recount_keeps_sound_balances,
                    corrections_and_orders_share_one_balance,
                    transfers_are_listed_in_pages,
                ]
            );
            $crate::conformance_group!(
                $store,
                orders,
                [
                    an_order_opens_exactly_the_rows_it_announces,
                    every_price_basis_is_kept,
                    a_hundred_parallel_orders_share_the_last_coin,
                    parallel_batches_hold_all_or_nothing,
                    parallel_replays_are_one_job,
                    a_replay_is_answered_before_anything_else,
                    a_key_belongs_to_one_order,
                    keys_of_two_accounts_do_not_meet,
                    racing_orders_of_different_size_write_one,
                    a_short_order_leaves_no_trace,
                    open_jobs_are_limited,
                    parallel_orders_keep_the_limit_of_open_jobs,
                    a_draft_is_confirmed_within_the_limit_of_open_jobs,
                    parallel_confirmations_keep_the_limit_of_open_jobs,
                    free_jobs_are_counted_by_the_day,
                    an_order_needs_an_open_account,
                    a_draft_moves_no_money_until_it_is_confirmed,
                    a_draft_is_due_at_its_deadline,
                    a_batch_keeps_its_order,
                ]
            );
            $crate::conformance_group!(
                $store,
                readings,
                [consumption_is_summed_in_its_window, a_reading_is_kept_once, acts_are_kept_in_their_order,]
            );
            $crate::conformance_group!(
                $store,
                reports,
                [
                    states_are_counted_in_the_window,
                    models_and_outputs_are_summed_up,
                    deliveries_are_counted_by_state,
                    the_way_of_a_job_is_timed,
                    unknown_words_of_running_jobs_are_counted,
                    results_at_blocked_addresses_are_counted,
                    transfers_of_many_jobs_come_together,
                    the_oldest_due_row_is_shown,
                    what_is_due_is_shown_and_not_claimed,
                    stuck_jobs_are_shown_by_kind,
                    stuck_jobs_are_shown_by_model,
                    the_audit_names_missing_holds_and_drafts_with_transfers,
                    an_empty_shop_is_clean,
                ]
            );
            $crate::conformance_group!(
                $store,
                slots,
                [
                    slots_go_to_accounts_in_turn,
                    slots_in_use_count_as_turns,
                    pending_rows_wait_for_slots,
                    an_attempt_without_a_slot_waits,
                    parallel_attempts_take_each_slot_once,
                    slots_are_made_once,
                    a_deadline_needs_no_slot,
                    an_open_breaker_lets_one_trial_through,
                    parallel_trials_send_one,
                    a_breaker_opens_and_closes_once,
                    refusals_in_a_row_take_a_model_off_sale,
                ]
            );
            $crate::conformance_group!(
                $store,
                steps,
                [
                    a_step_writes_all_of_its_parts,
                    a_step_keeps_what_it_does_not_name,
                    a_step_from_another_state_is_stale,
                    a_step_under_an_old_fence_is_stale,
                    a_lease_that_nobody_took_still_writes,
                    a_step_without_a_wake_is_refused,
                    a_failure_without_a_cause_is_refused,
                    a_short_step_writes_nothing,
                    a_job_gives_back_what_it_holds,
                    a_step_with_a_used_key_writes_nothing,
                    settling_moves_the_money_once,
                    parallel_settlements_are_one,
                    parallel_releases_are_one,
                    parallel_confirmations_hold_once,
                    parallel_settlements_of_many_jobs_add_up,
                    a_gift_moves_no_money,
                    a_free_job_has_no_transfers,
                ]
            );
            $crate::conformance_group!(
                $store,
                timeline,
                [
                    repeated_history_is_counted_in_one_line,
                    the_newest_words_of_a_folded_line_win,
                    history_is_folded_within_one_job,
                    parallel_repeats_are_all_counted,
                ]
            );
            $crate::conformance_group!(
                $store,
                wakes,
                [
                    a_wake_only_brings_forward,
                    a_wake_during_a_step_is_not_lost,
                    a_wake_before_an_attempt_survives_it,
                    a_wake_does_not_wake_what_is_over,
                    a_wake_during_a_failure_is_kept,
                    only_what_can_still_change_is_woken,
                    asked_wakes_have_a_pace,
                    a_wake_stays_within_its_scope,
                    an_accounts_live_jobs_are_woken_together,
                    racing_wakes_are_never_lost,
                    the_next_wake_is_the_earliest,
                    changes_are_heard,
                ]
            );
        }
    };
}

/// The promises of one noun; a part of [`conformance_tests`].
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_group {
    ($store:ident, $group:ident, [$($promise:ident),+ $(,)?]) => {
        mod $group {
            use super::super::$store;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    $crate::conformance::prove($store, $crate::conformance::$group::$promise).await;
                }
            )+
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    /// A promise that the list forgets would never be run.
    #[test]
    fn every_promise_is_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/conformance");
        let is_between_words = |letter: char| !letter.is_alphanumeric() && letter != '_';
        let listed: HashSet<&str> = include_str!("conformance.rs").split(is_between_words).collect();
        let mut promises = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                continue;
            }
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let Some(rest) = line.strip_prefix("pub async fn ") else { continue };
                let name = rest.split('(').next().unwrap();
                promises += 1;
                assert!(listed.contains(name), "{name} is not listed");
            }
        }
        assert!(promises > 100, "{promises} promises were found");
    }
}
