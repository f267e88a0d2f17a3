//! Discord: old accounts are shown with four digits, new ones by a name that people choose.

use serde_json::Value;

use super::Quirk;

pub(super) struct Discord;

impl Quirk for Discord {
    fn display(&self, extra_data: &Value) -> Option<String> {
        let text = |name: &str| extra_data.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let digits =
            text("discriminator").filter(|it| it.len() == 4 && it.bytes().all(|byte| byte.is_ascii_digit()));
        match (text("username"), digits) {
            (Some(name), Some(digits)) => Some(format!("{name}#{digits}")),
            (name, _) => text("global_name").or(name).map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn digits_only_where_there_are_four() {
        let shown = |data: Value| Discord.display(&data);
        let old = json!({"username": "Nelly", "discriminator": "1337", "global_name": "N"});
        assert_eq!(shown(old).unwrap(), "Nelly#1337");
        let new = json!({"username": "nelly", "discriminator": "0", "global_name": "Nelly"});
        assert_eq!(shown(new).unwrap(), "Nelly");
        assert_eq!(shown(json!({"username": "nelly", "global_name": null})).unwrap(), "nelly");
        assert_eq!(shown(json!({})), None);
    }
}
