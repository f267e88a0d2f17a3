//! The account portal, page by page, in a real browser, as people use it. Skipped, aloud, where Chromium is not installed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod data;
mod edges;
mod fields;
mod life;
mod look;
mod mailbox;
mod newcomer;
mod page;
mod recovery;
mod ways;
mod world;

/// Windows of a desk and of a phone.
const WIDE: u32 = 1280;
const NARROW: u32 = 360;

#[test]
fn portal_life_of_an_account_at_a_desk() {
    life::live(WIDE);
}

#[test]
fn portal_life_of_an_account_on_a_phone() {
    life::live(NARROW);
}

#[test]
fn portal_ways_in_at_a_desk() {
    ways::enter(WIDE);
}

#[test]
fn portal_ways_in_on_a_phone() {
    ways::enter(NARROW);
}

#[test]
fn portal_edges_at_a_desk() {
    edges::try_all(WIDE);
}

#[test]
fn portal_edges_on_a_phone() {
    edges::try_all(NARROW);
}

#[test]
fn portal_own_data_at_a_desk() {
    data::take_along_and_leave(WIDE);
}

#[test]
fn portal_own_data_on_a_phone() {
    data::take_along_and_leave(NARROW);
}

#[test]
fn portal_extra_fields_at_a_desk() {
    fields::fill_in(WIDE);
}

#[test]
fn portal_extra_fields_on_a_phone() {
    fields::fill_in(NARROW);
}

#[test]
fn portal_mailbox_at_a_desk() {
    mailbox::read(WIDE);
}

#[test]
fn portal_mailbox_on_a_phone() {
    mailbox::read(NARROW);
}

#[test]
fn portal_newcomer_at_a_desk() {
    newcomer::arrive(WIDE);
}

#[test]
fn portal_newcomer_on_a_phone() {
    newcomer::arrive(NARROW);
}

#[test]
fn portal_recovery_by_code_at_a_desk() {
    recovery::recover(WIDE);
}

#[test]
fn portal_recovery_by_code_on_a_phone() {
    recovery::recover(NARROW);
}
