//! The rules, by subject.

mod bucket;
mod copies;
mod failures;
mod interrupted;
mod listing;
mod objects;
mod parts;
mod signed;

use super::{Capability, Rule};

/// Names of functions in the submodules, each with the capability it needs, if any.
macro_rules! rules {
    ($($module:ident { $($rule:ident $(needs $capability:ident)?),* $(,)? })*) => {
        vec![$($(Rule {
            name: stringify!($rule),
            needs: rules!(@capability $($capability)?),
            run: |harness| Box::pin($module::$rule(harness)),
        }),*),*]
    };
    (@capability) => { None };
    (@capability $capability:ident) => { Some(Capability::$capability) };
}

/// All rules, in the order in which [`run_all`](super::run_all) runs them.
pub fn rules() -> Vec<Rule> {
    rules! {
        bucket {
            the_bucket_is_described,
            ensuring_an_existing_bucket_changes_nothing,
        }
        objects {
            bodies_of_every_size_come_back,
            streams_of_known_length_come_back,
            streams_of_unknown_length_come_back,
            large_streams_of_unknown_length_come_back,
            content_types_are_kept,
            a_put_replaces_what_was_there,
            keys_with_every_allowed_character_work,
            keys_of_the_greatest_length_work,
            ranges_are_exact,
            ranges_outside_are_refused,
            reading_what_is_missing_is_not_found,
            deleting_twice_succeeds,
            the_right_md5_is_accepted,
        }
        failures {
            a_wrong_announced_length_stores_nothing,
            a_failing_body_stores_nothing,
            a_failing_large_body_stores_nothing,
            a_wrong_md5_stores_nothing,
            a_wrong_md5_of_a_stream_stores_nothing,
            a_failed_put_leaves_the_earlier_object,
        }
        interrupted {
            an_object_is_replaced_at_once,
            concurrent_writers_leave_one_whole_body,
            a_dropped_put_of_known_length_stores_nothing,
            a_dropped_put_of_unknown_length_stores_nothing,
            a_put_dropped_at_any_await_is_whole_or_nothing,
            a_running_multipart_upload_is_listed_and_can_be_aborted,
            aborting_an_unknown_multipart_upload_succeeds,
        }
        copies {
            a_copy_has_the_same_bytes_and_the_type_that_is_said,
            a_copy_has_nothing_else_that_its_source_was_sent_with,
            copying_what_is_missing_is_not_found,
            a_copy_replaces_what_was_there,
            a_copy_of_the_expected_etag_happens needs CopyCondition,
            a_copy_of_another_etag_does_not_happen needs CopyCondition,
        }
        parts {
            parts_in_any_order_become_one_object,
            a_part_sent_again_replaces_the_first,
            parts_are_listed_over_pages needs PagesOfParts,
            parts_have_numbers_up_to_10000 needs TenThousandParts,
            a_completion_of_other_parts_is_refused_and_can_be_mended,
            an_upload_that_ended_has_no_parts needs ForgetsEndedUploads,
            an_upload_is_of_one_key needs BindsUploadsToKeys,
            signed_parts_have_numbers_and_lives,
            a_signed_part_of_another_length_is_refused needs VerifiesSignatures,
            a_signed_part_is_for_one_number_of_one_upload needs VerifiesSignatures,
            an_expired_signed_part_is_refused needs VerifiesSignatures,
        }
        listing {
            a_listing_is_complete_and_ascending_whatever_the_page,
            a_listing_goes_over_hundreds_of_pages,
            a_listing_ends_with_its_prefix,
            a_listing_starts_after_a_key,
            a_listing_shows_size_and_etag,
            an_empty_listing_is_empty,
        }
        signed {
            a_signed_get_answers_the_object,
            a_signed_get_answers_ranges,
            a_signed_get_answers_the_chosen_headers needs ResponseHeaders,
            a_reusable_signed_get_is_the_same_for_a_while,
            a_signed_get_of_what_is_missing_is_404,
            a_signed_put_stores_the_object,
            signed_urls_live_1_second_to_7_days,
            a_tampered_signed_get_is_refused needs VerifiesSignatures,
            a_signed_url_is_for_one_method needs VerifiesSignatures,
            expired_signed_urls_are_refused needs VerifiesSignatures,
            a_signed_put_of_another_type_is_refused needs VerifiesSignatures,
            a_signed_put_of_another_length_is_refused needs VerifiesSignatures,
            a_signed_put_of_another_md5_is_refused needs DigestOfSignedPut,
            a_signed_form_stores_the_object needs PostPolicy,
            a_signed_form_takes_its_least_and_most_bytes needs PostPolicy,
            a_signed_form_of_another_size_is_refused needs PostPolicy,
            a_signed_form_of_another_type_is_refused needs PostPolicy,
            a_signed_form_for_another_key_is_refused needs PostPolicy,
            an_expired_signed_form_is_refused needs PostPolicy,
        }
    }
}
