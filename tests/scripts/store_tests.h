/* SPDX-License-Identifier: Apache-2.0 */
/* The suite's tests, each run on both stores; store_suite.c lists them. */
#ifndef JG_TESTS_STORE_TESTS_H
#define JG_TESTS_STORE_TESTS_H

#include "store_steps.h"

#define STORE_TESTS(X)                                                                                                 \
    X(every_cell_of_the_table_of_states_holds)                                                                         \
    /* store_claims.c: the producer's side */                                                                          \
    X(a_claim_asked_for_again_is_the_same_claim)                                                                       \
    X(a_duplicate_asked_for_again_counts_once)                                                                         \
    X(a_candidate_asked_for_again_counts_once)                                                                         \
    X(a_candidate_that_turns_duplicate_is_no_heir)                                                                     \
    X(confirming_never_creates_a_claim)                                                                                \
    X(a_candidate_that_is_no_longer_the_newest_is_not_remembered)                                                      \
    X(a_released_claim_goes_to_the_newest_candidate)                                                                   \
    X(a_released_claim_is_queued_when_its_heir_was_acknowledged)                                                       \
    X(a_released_claim_goes_to_the_acknowledged_candidate_when_the_newest_failed)                                      \
    X(a_released_claim_ends_when_all_candidates_failed)                                                                \
    X(releasing_again_changes_nothing)                                                                                 \
    X(a_claim_passed_on_while_acknowledged_survives_the_newest_failing)                                                \
    X(only_the_owner_changes_a_claim)                                                                                  \
    X(a_provisional_claim_is_gone_after_its_time)                                                                      \
    X(a_queued_claim_is_gone_after_its_time)                                                                           \
    X(the_last_hundred_duplicates_are_kept)                                                                            \
    X(every_operation_is_counted)                                                                                      \
    X(classes_are_listed_and_never_mixed_up)                                                                           \
    X(operations_of_one_call_are_carried_out_in_order)                                                                 \
    X(a_malformed_operation_is_refused)                                                                                \
    /* store_runs.c: the consumer's side */                                                                            \
    X(an_original_always_runs)                                                                                         \
    X(a_redelivered_original_always_runs)                                                                              \
    X(a_foreign_job_runs_and_changes_nothing)                                                                          \
    X(a_candidate_is_skipped_while_its_original_is_queued)                                                             \
    X(a_candidate_is_skipped_when_its_original_came_up)                                                                \
    X(a_candidate_is_skipped_while_its_original_runs_until_executed)                                                   \
    X(a_candidate_runs_while_its_original_is_provisional)                                                              \
    X(a_candidate_runs_when_its_original_failed)                                                                       \
    X(a_candidate_runs_when_its_original_was_never_heard_of)                                                           \
    X(a_candidate_that_inherited_the_claim_runs)                                                                       \
    X(a_candidate_runs_when_another_inherited_the_claim)                                                               \
    X(a_candidate_that_ran_is_no_heir)                                                                                 \
    X(a_candidate_that_was_skipped_is_no_heir)                                                                         \
    X(a_late_acknowledgement_of_an_admitted_candidate_confirms_nothing)                                                \
    X(a_candidate_that_runs_again_on_the_same_run_is_told_run)                                                         \
    X(a_candidate_that_ran_may_be_skipped_once_its_original_is_certain)                                                \
    X(an_until_executing_candidate_is_not_skipped_for_a_run_that_started_before)                                       \
    X(a_claim_that_had_candidates_leaves_a_record)                                                                     \
    X(a_record_turns_no_newcomer_away)                                                                                 \
    X(a_record_is_gone_after_its_time)                                                                                 \
    X(a_completed_run_ends_its_claim)                                                                                  \
    X(an_earlier_run_does_not_end_the_claim_of_a_later_one)                                                            \
    X(completing_again_changes_nothing)                                                                                \
    X(a_renewed_run_keeps_its_claim)                                                                                   \
    X(a_run_that_expired_does_not_come_back)                                                                           \
    X(a_run_that_expired_leaves_no_record)                                                                             \
    X(renewing_never_creates_a_claim)                                                                                  \
    /* store_epochs.c: the store lost or rewound its data */                                                           \
    X(a_claim_of_an_older_epoch_turns_nothing_away)                                                                    \
    X(a_claim_of_an_older_epoch_is_not_confirmed)                                                                      \
    X(a_claim_of_an_older_epoch_is_passed_on_as_provisional)                                                           \
    X(an_epoch_is_always_larger_than_the_one_before)                                                                   \
    X(a_run_comes_back_after_its_member_was_lost)                                                                      \
    X(a_running_claim_counts_again_once_renewed)                                                                       \
    X(a_rewound_claim_of_a_job_that_ran_drops_nothing)                                                                 \
    X(a_candidate_of_a_rewound_claim_runs)                                                                             \
    X(an_until_executing_job_is_not_dropped_for_a_rewound_run)                                                         \
    X(an_empty_store_knows_nothing)                                                                                    \
    /* store_follow.c: follow-ups */                                                                                   \
    X(a_duplicate_of_a_running_job_is_a_numbered_candidate)                                                            \
    X(a_duplicate_of_a_job_that_waits_is_no_follow_up)                                                                 \
    X(the_latest_follow_up_runs_once_after_its_original)                                                               \
    X(a_follow_up_that_comes_up_after_its_original_runs_at_once)                                                       \
    X(a_follow_up_waits_for_a_newer_one_that_may_come_within_bounds)                                                   \
    X(a_newer_follow_up_takes_the_claim_of_one_that_did_not_start)                                                     \
    X(a_follow_up_whose_delivery_failed_is_waited_for_no_more)                                                         \
    X(a_follow_up_has_one_of_its_own)                                                                                  \
    X(an_original_that_is_delivered_again_runs_while_its_follow_up_waits)                                              \
    X(an_original_that_is_held_when_it_is_delivered_again_goes_before_its_follow_up)                                   \
    X(a_follow_up_does_the_work_of_an_original_whose_run_died)                                                         \
    X(held_follow_ups_stand_in_nobodys_way)                                                                            \
    X(a_follow_up_takes_the_place_of_a_successor)                                                                      \
    X(a_follow_up_that_is_buried_is_nobodys_heir)                                                                      \
    X(a_store_that_lost_its_data_loses_no_follow_up)                                                                   \
    X(follow_ups_are_numbered_on_after_a_rewind)                                                                       \
    X(without_a_store_that_knows_a_follow_up_runs)                                                                     \
    /* store_limits.c: slots, tickets, what is held */                                                                 \
    X(a_job_runs_while_there_is_a_slot_and_is_held_when_there_is_none)                                                 \
    X(the_same_run_is_told_run_again)                                                                                  \
    X(a_newcomer_goes_behind_what_is_held_or_on_its_way_back)                                                          \
    X(a_job_that_says_it_was_resumed_and_has_no_ticket_is_a_newcomer)                                                  \
    X(a_ticketed_job_goes_before_newcomers)                                                                            \
    X(a_ticketed_job_without_a_slot_waits_and_is_then_held)                                                            \
    X(a_paused_class_holds_everything)                                                                                 \
    X(an_override_goes_over_the_settings_until_it_is_taken_back)                                                       \
    X(of_two_overrides_the_later_one_counts)                                                                           \
    X(an_override_outlives_the_stores_data)                                                                            \
    X(a_full_holding_topic_pushes_newcomers_back)                                                                      \
    X(a_held_claim_turns_duplicates_away_and_its_time_starts_again)                                                    \
    X(a_candidate_that_is_held_stays_a_candidate)                                                                      \
    X(a_take_grants_what_is_free_and_ahead_and_the_same_again)                                                         \
    X(a_class_that_runs_more_than_its_limit_still_grants_ahead)                                                        \
    X(without_a_limit_everything_is_granted_and_needs_no_ticket)                                                       \
    X(of_a_class_that_nobody_told_anything_of_nothing_is_granted)                                                      \
    X(a_run_that_is_not_renewed_frees_its_slot)                                                                        \
    X(after_a_loss_nobody_gets_a_slot_until_the_grace_is_over)                                                         \
    X(a_group_that_never_ran_anything_gets_slots_at_once)                                                              \
    X(runs_that_are_put_back_after_a_loss_count)                                                                       \
    X(a_ticket_has_its_position_until_it_is_dropped)                                                                   \
    X(a_buried_job_leaves_its_claim_to_an_heir_or_ends_it)                                                             \
    X(no_interleaving_exceeds_the_limit)                                                                               \
    /* store_leases.c: leases, tokens, no-ops, what is done */                                                         \
    X(a_lease_is_given_to_one_run_at_a_time)                                                                           \
    X(each_job_key_has_a_lease_of_its_own)                                                                             \
    X(a_class_without_a_lease_gives_no_token)                                                                          \
    X(a_token_is_larger_than_any_before)                                                                               \
    X(a_token_that_was_put_back_is_counted_on_from)                                                                    \
    X(a_holder_that_expired_frees_its_lease_and_ends_nothing)                                                          \
    X(a_renewed_run_keeps_its_lease)                                                                                   \
    X(a_run_whose_lease_another_has_is_over)                                                                           \
    X(a_no_op_is_remembered_and_its_claim_goes_to_its_candidate)                                                       \
    X(a_no_op_ends_its_claim)                                                                                          \
    X(a_job_that_started_is_held_while_another_has_its_lease)                                                          \
    X(a_job_that_was_held_is_held_again_while_another_has_its_lease)                                                   \
    X(that_a_leased_job_started_is_known_until_its_end)                                                                \
    X(that_a_leased_job_started_is_known_for_a_while_after_it_was_renewed)                                             \
    X(a_no_op_goes_before_waiting_in_line)                                                                             \
    X(a_ticketed_job_waits_for_the_lease_and_is_then_held)                                                             \
    X(a_job_whose_own_run_has_the_lease_is_held_and_then_recognised_as_done)                                           \
    X(completing_a_done_job_again_answers_the_same)                                                                    \
    X(a_lease_that_got_free_wakes_the_resumer)                                                                         \
    X(a_lease_comes_back_after_its_loss)                                                                               \
    X(a_leased_run_that_the_store_lost_is_done_when_it_ends)                                                           \
    X(a_lease_does_not_come_back_over_a_larger_token)                                                                  \
    X(a_done_run_does_not_come_back)                                                                                   \
    X(an_operation_on_leases_that_lacks_something_is_refused)                                                          \
    /* store_chains.c: capacity, successors, failures */                                                               \
    X(a_job_below_capacity_runs_and_goes_on)                                                                           \
    X(a_job_at_capacity_is_held_and_its_successor_waits)                                                               \
    X(a_ticketed_job_at_capacity_waits_and_is_then_held)                                                               \
    X(a_chain_ends_when_no_work_remains)                                                                               \
    X(without_a_gauge_of_work_there_is_always_more)                                                                    \
    X(a_wrong_gauge_counts_as_full_and_as_work)                                                                        \
    X(a_gauge_is_a_number_or_the_size_of_a_collection)                                                                 \
    X(a_done_job_that_comes_again_gets_the_same_successor)                                                             \
    X(a_job_that_was_held_while_it_ran_gets_the_successor_where_it_comes_up)                                           \
    X(a_copy_of_a_started_job_is_skipped)                                                                              \
    X(a_successor_of_a_class_without_capacity_is_no_copy_of_another)                                                   \
    X(a_started_job_that_was_held_since_may_start_elsewhere)                                                           \
    X(a_run_that_ends_while_its_copy_is_held_continues_its_chain)                                                      \
    X(a_run_that_expired_continues_its_chain_unless_another_did)                                                       \
    X(a_failed_job_waits_and_keeps_its_claim)                                                                          \
    X(a_failed_job_is_never_lost)                                                                                      \
    X(until_executed_passes_its_claim_to_the_successor)                                                                \
    X(until_executing_gives_the_successor_a_claim_unless_another_has_it)                                               \
    X(without_dedup_a_successor_has_no_claim)                                                                          \
    X(a_chain_ends_with_its_last_number)                                                                               \
    X(a_chain_comes_back_after_its_loss)                                                                               \
    X(a_run_that_the_store_lost_continues_its_chain)                                                                   \
    X(a_run_that_failed_does_not_come_back_in_a_class_of_any_kind)                                                     \
    X(a_retry_that_its_run_did_not_enqueue_is_enqueued_by_the_run_that_ends_after_it)                                  \
    X(a_run_that_ends_after_the_successor_started_gives_it_no_claim)                                                   \
    X(a_run_that_ends_late_changes_nothing_of_the_run_that_ended_before)                                               \
    X(a_run_that_leaves_frees_its_slot_and_lease_and_ends_nothing)                                                     \
    X(newcomers_go_behind_a_successor_that_waits)                                                                      \
    X(a_successor_waits_for_the_lease_of_its_predecessor)                                                              \
    X(burying_a_job_ends_its_chain_unless_a_later_one_started)                                                         \
    X(a_chain_is_forgotten_after_its_end_or_a_month)                                                                   \
    /* store_pace.c: what a take tells for resume.ahead=auto */                                                        \
    X(with_auto_the_resumer_says_how_many_go_ahead)                                                                    \
    X(a_ticketed_job_that_is_held_again_for_want_of_a_slot_is_a_miss)                                                  \
    X(how_long_tickets_were_on_their_way_and_slots_idle_is_told)                                                       \
    /* store_take.c: tickets of classes with a lease or a capacity */                                                  \
    X(a_take_gives_one_ticket_for_one_free_lease)                                                                      \
    X(a_take_gives_as_many_tickets_as_the_load_is_below_the_capacity)                                                  \
    X(a_take_goes_on_past_what_waits_for_its_key)                                                                      \
    X(a_take_stops_at_the_classs_bar_but_for_what_has_a_ticket)                                                        \
    X(a_take_answers_how_many_of_a_key_the_settings_allow)                                                             \
    X(a_take_is_told_what_is_known_of_its_items_and_refuses_nonsense)                                                  \
    X(a_take_tells_where_jobs_run_and_have_come_back_to)                                                               \
    X(a_limit_by_key_holds_the_second_job_of_a_key_and_lets_another_key_run)                                           \
    X(each_instance_admits_by_its_own_number_of_a_key)                                                                 \
    X(newcomers_go_behind_held_jobs_of_their_own_key_only)                                                             \
    X(a_mark_is_refreshed_and_forgotten_after_ten_minutes)                                                             \
    X(a_key_whose_tickets_take_all_that_is_free_lets_no_newcomer_in)                                                   \
    X(a_take_counts_the_runs_and_the_tickets_of_each_key)                                                              \
    X(a_ticketed_job_waits_for_its_key_and_is_held_at_its_last_try)                                                    \
    X(beside_its_keys_a_class_has_its_own_limit)                                                                       \
    X(what_waits_for_its_own_key_keeps_no_other_key_out_of_the_classs_slots)                                           \
    X(a_pause_counts_for_a_class_with_keys_and_what_was_held_goes_first)                                               \
    X(a_dead_consumers_slot_of_a_key_comes_back_by_its_time)                                                           \
    X(a_job_that_leaves_frees_the_slot_of_its_key)                                                                     \
    X(a_run_puts_its_slot_of_a_key_back_when_the_store_lost_its_data)                                                  \
    X(a_shorter_ttl_of_another_instance_ends_no_slot_of_a_key_early)                                                   \
    X(a_successor_that_waits_lets_newcomers_of_its_key_go_behind_it)                                                   \
    X(with_leases_of_job_keys_newcomers_go_behind_their_own_key_only)                                                  \
    X(an_operation_with_half_a_limit_by_key_is_refused)                                                                \
    X(a_take_says_why_nothing_is_granted)                                                                              \
    X(a_take_gives_one_ticket_for_each_job_key)                                                                        \
    X(an_override_counts_for_classes_with_a_lease_or_a_capacity_too)                                                   \
    /* store_slots.c: capacity slots */                                                                                \
    X(a_start_takes_a_slot_that_its_end_does_not_free)                                                                 \
    X(with_all_slots_taken_a_job_is_held_and_a_successor_waits_until_one_is_free)                                      \
    X(a_job_that_is_delivered_again_has_its_slot_already)                                                              \
    X(a_slot_that_was_freed_does_not_come_back_while_its_job_runs)                                                     \
    X(a_slot_is_free_after_its_time_and_not_before_its_run_ends)                                                       \
    X(freeing_what_is_free_changes_nothing_and_is_counted)                                                             \
    X(each_instance_counts_slots_against_its_own_number)                                                               \
    X(slots_lost_with_the_data_come_back_with_their_runs_and_never_more_than_there_may_be)                             \
    X(a_take_gives_as_many_tickets_as_slots_are_free)                                                                  \
    X(a_freed_slot_wakes_the_resumer_when_something_is_held)                                                           \
    X(a_report_shows_slots_and_when_they_end)                                                                          \
    /* store_reports.c: what people are shown of that */                                                               \
    X(a_report_shows_who_has_a_lease_and_what_token)                                                                   \
    X(a_report_shows_no_owner_that_expired)                                                                            \
    X(a_report_shows_what_is_known_of_a_job)                                                                           \
    X(a_report_shows_load_and_work)                                                                                    \
    X(a_lease_that_expired_is_counted_when_another_run_gets_it)                                                        \
    X(a_lease_that_expired_is_counted_when_its_run_ends_after_all)                                                     \
    X(a_job_that_failed_is_counted_among_the_completed)                                                                \
    X(a_report_tells_claims_by_their_state_and_the_class_s_lease)                                                      \
    X(a_survey_tells_of_each_class_what_its_report_tells)                                                              \
    /* store_groups.c: who resumes, who is woken, who told what */                                                     \
    X(one_instance_leads_until_it_leaves_or_is_late)                                                                   \
    X(an_announcement_changes_what_the_leader_is_told)                                                                 \
    X(one_group_has_a_topic_until_it_leaves_or_another_takes_it)                                                       \
    X(groups_and_topics_are_no_classes)                                                                                \
    X(a_watch_is_woken_by_a_free_slot_only_when_something_is_held)                                                     \
    X(a_watch_is_woken_by_whatever_the_resumer_waits_for)                                                              \
    X(instances_that_told_other_limits_disagree)                                                                       \
    X(an_operation_on_limits_that_lacks_something_is_refused)

#define STORE_TEST_DECLARE(name) void name(void **state);
STORE_TESTS(STORE_TEST_DECLARE)
#undef STORE_TEST_DECLARE

#endif
