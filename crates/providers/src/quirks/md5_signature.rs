//! Mail.Ru and Odnoklassniki: every call is signed with MD5 over its parameters in order. Weak, and theirs to choose: what
//! protects the call is TLS.

use md5::{Digest, Md5};
use url::Url;

use super::{Progress, Quirk};
use crate::error::ProviderError;
use crate::provider::Provider;
use crate::request::Request;

pub(super) struct MailRu;
pub(super) struct Odnoklassniki;

impl Quirk for MailRu {
    fn profile_request(
        &self,
        provider: &Provider,
        _step: usize,
        _progress: Progress<'_>,
        request: &mut Request,
    ) -> Result<(), ProviderError> {
        let signature = signature(&request.url, provider.secret());
        request.query([("sig", signature.as_str())]);
        Ok(())
    }
}

impl Quirk for Odnoklassniki {
    fn profile_request(
        &self,
        provider: &Provider,
        _step: usize,
        progress: Progress<'_>,
        request: &mut Request,
    ) -> Result<(), ProviderError> {
        let key = md5(&format!("{}{}", progress.access_token, provider.secret()));
        let signature = signature(&request.url, &key);
        request.query([("sig", signature.as_str())]);
        Ok(())
    }
}

/// The access token is no part of what is signed: it is in the key.
fn signature(url: &Url, key: &str) -> String {
    let mut signed: Vec<_> = url
        .query_pairs()
        .filter(|(name, _)| name != "access_token")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    signed.sort_unstable();
    signed.push(key.to_owned());
    md5(&signed.concat())
}

fn md5(text: &str) -> String {
    hex::encode(Md5::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_signed_in_order_whatever_order_they_are_sent_in() {
        // What django-allauth 65.21.1 sends for these parameters.
        let url = "https://www.appsmail.ru/platform/api?uids=1&method=users.getInfo&secure=1&app_id=app123id";
        let url = Url::parse(url).unwrap();
        assert_eq!(signature(&url, "dummy"), "fe2d35a9e5727ea1a80548a669e8b7d9");
    }

    #[test]
    fn the_access_token_is_in_the_key_only() {
        let url = "https://api.odnoklassniki.ru/fb.do?application_key=appkey456&format=JSON&method=users.getCurrentUser\
            &fields=age,birthday,current_status,current_status_date,current_status_id,email,first_name,gender,has_email,\
            last_name,locale,location,name,online,photo_id,pic1024x768,pic190x190,pic640x480,pic_1,pic_2,uid";
        let url = Url::parse(url).unwrap();
        let with_token = Url::parse(&format!("{url}&access_token=testac")).unwrap();
        let key = md5("testacdummy");
        assert_eq!(signature(&url, &key), "a8b775a1483b19eab484fc597a3e15cf");
        assert_eq!(signature(&with_token, &key), "a8b775a1483b19eab484fc597a3e15cf");
    }
}
