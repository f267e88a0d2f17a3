//! Settings that are read already, of parts that this version does not have yet. Whoever relies on one must know.

use super::super::Config;
use super::Report;

pub(super) fn check(config: &Config, report: &mut Report) {
    let unbuilt = [("socialaccount.apps", !config.socialaccount.apps.is_empty())];
    for (setting, _) in unbuilt.into_iter().filter(|(_, used)| *used) {
        report.warn(setting, "this version does not have it yet; the setting has no effect");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;

    #[test]
    fn what_has_no_effect_is_said_to_have_none() {
        let app = "[[socialaccount.apps]]\nprovider = \"github\"\nclient_id = \"c\"\nsecret = \"s\"";
        expect(app, "socialaccount.apps");
    }
}
