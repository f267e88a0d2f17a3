//! The database of a Django project.

use clap::Args;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde_json::json;
use vestibule_transfer::{Django, DjangoOptions};

use super::{Failure, How};
use crate::output;

#[derive(Debug, Args)]
pub(super) struct Command {
    /// The project's database: sqlite://PATH, the path itself, or postgres://USER@HOST/NAME. With a password in it, set it in
    /// the environment instead: everybody on the machine is shown what stands in a command.
    #[arg(long, value_name = "URL", env = "VESTIBULE_IMPORT_FROM", hide_env_values = true)]
    from: SecretString,
    /// The table of users: that of AUTH_USER_MODEL.
    #[arg(long, value_name = "TABLE", default_value = "auth_user")]
    user_table: String,
    /// Its column with the user name, if that is not `username`.
    #[arg(long, value_name = "COLUMN")]
    username_column: Option<String>,
    /// Its column with the email address, if that is not `email`.
    #[arg(long, value_name = "COLUMN")]
    email_column: Option<String>,
    /// Its column with the telephone number, in E.164.
    #[arg(long, value_name = "COLUMN")]
    phone_column: Option<String>,
    /// Its column that says whether the number is verified; without it, no number counts as verified.
    #[arg(long, value_name = "COLUMN", requires = "phone_column")]
    phone_verified_column: Option<String>,
    #[command(flatten)]
    how: How,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    let Command { from, user_table, how, .. } = command;
    let mfa = how.common.settings.checked()?.mfa;
    let options = DjangoOptions {
        user_table,
        username_column: command.username_column,
        email_column: command.email_column,
        phone_column: command.phone_column,
        phone_verified_column: command.phone_verified_column,
        recovery_code_count: mfa.recovery_code_count,
        recovery_code_digits: mfa.recovery_code_digits,
    };
    let mut django = Django::open(from.expose_secret(), options).await?;
    let users = django.count().await?;
    if how.common.json {
        output::line(json!({ "users": users, "remarks": django.remarks() }));
    } else {
        for remark in django.remarks() {
            output::complain(remark);
        }
        output::complain(format_args!("{users} users to go through"));
    }
    super::take(&how, "django", &mut django).await
}
