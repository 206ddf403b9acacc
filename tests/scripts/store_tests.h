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
    X(an_empty_store_knows_nothing)

#define STORE_TEST_DECLARE(name) void name(void **state);
STORE_TESTS(STORE_TEST_DECLARE)
#undef STORE_TEST_DECLARE

#endif
