//! `[console.saml]`: whose word signs people in at the console, and what it says of them.

use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;

use super::diagnostics::{Diagnostics, Source};
use super::files::Files;
use super::settings::{Duty, Saml};
use super::table::Table;
use super::{options, provider};

/// What the file may say.
pub struct Options {
    pub span: options::Span,
    pub metadata_file: Option<Spanned<PathBuf>>,
    pub entity_id: Option<Spanned<String>>,
    pub address_attribute: Option<Spanned<String>>,
    pub groups_attribute: Option<Spanned<String>>,
    pub roles: Option<Vec<Group>>,
}

/// A group, and its roles.
type Group = (Spanned<String>, Vec<Spanned<Duty>>);

impl Options {
    pub fn read(t: &Table<'_>, d: &mut Diagnostics) -> Options {
        let metadata_file = t.path("metadata-file", d);
        Options {
            span: t.span(),
            metadata_file: t.require("metadata-file", metadata_file, "metadata-file = \"identity-provider.xml\"", d),
            entity_id: t.text("entity-id", d),
            address_attribute: t.text("address-attribute", d),
            groups_attribute: t.text("groups-attribute", d),
            roles: t.table("roles", "console.saml.roles", d).map(|t| {
                let mut names: Vec<_> = t.names().collect();
                names.sort_by_key(|name| name.span().start);
                names
                    .into_iter()
                    .map(|name| {
                        let roles = t.list(name.get_ref(), |text| options::one_of(text, &Duty::WORDS, "role"), d);
                        t.not_empty(name.get_ref(), "Give the group a role, or delete the line.", d);
                        (name, roles.unwrap_or_default())
                    })
                    .collect()
            }),
        }
    }

    /// What runs. None where there is a fault, which is told.
    pub fn resolve(&self, url: Option<&str>, files: &Files<'_>, source: &Arc<Source>, d: &mut Diagnostics) -> Option<Saml> {
        if !cfg!(feature = "saml") {
            let help = "Build it with --features saml, or delete the table: the mailed link signs people in.";
            d.error(source, self.span.clone(), "this build of the gateway cannot sign people in by SAML", help);
            return None;
        }
        if url.is_none() {
            let help =
                "Write url = \"https://gate.wragbyparishcouncil.gov.uk\" in [console]: the identity provider sends people back there.";
            d.error(source, self.span.clone(), "[console.saml] needs the console's own address", help);
        }
        let path = self.metadata_file.as_ref()?;
        let bytes = files.read(path, "the identity provider's metadata", d)?;
        let shown = path.get_ref().display();
        let read = match provider::read(&bytes) {
            Ok(read) => read,
            Err(fault) => {
                d.error(source, path.span(), format!("{shown} {}", fault.message), fault.help);
                return None;
            }
        };
        if let Some(until) = read.until.filter(|until| *until < jiff::Timestamp::now()) {
            let message = format!("the metadata in {shown} was good until {}", until.strftime("%-d %B %Y"));
            d.warning(source, path.span(), message, "Fetch it again: the identity provider's keys may be others now.");
        }
        let url = url?;
        let text = |said: &Option<Spanned<String>>| said.as_ref().map(|s| s.get_ref().clone());
        Some(Saml {
            entity: text(&self.entity_id).unwrap_or_else(|| format!("{url}/saml/metadata")),
            acs: format!("{url}/saml/acs"),
            logout: format!("{url}/saml/logout"),
            provider: read.provider,
            address_attribute: text(&self.address_attribute),
            groups_attribute: text(&self.groups_attribute),
            roles: self.roles.as_ref().map(|roles| {
                let duties = |all: &[Spanned<Duty>]| all.iter().map(|duty| *duty.get_ref()).collect();
                roles.iter().map(|(group, all)| (group.get_ref().clone(), duties(all))).collect()
            }),
        })
    }
}
