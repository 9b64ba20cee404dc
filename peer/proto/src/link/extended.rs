//! What a peer said of itself by the extension protocol (BEP 10), and what we told it.
//!
//! Invariant: it holds the last word on each, within the limits of [`crate::wire::extension`].

use std::net::IpAddr;

use crate::Time;
use crate::link::metadata::MetadataUploads;
use crate::pex::Intake;
use crate::wire::extension::{Extension, ExtensionHandshake, ExtensionIds};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Extended {
    ids: ExtensionIds,
    /// Its client's name and version, safe to show.
    pub(crate) version: Option<String>,
    /// Our address as it sees us.
    pub(crate) our_ip: Option<IpAddr>,
    /// The port on which it listens; the first that it named.
    pub(crate) port: Option<u16>,
    /// It wants nothing any more (BEP 21).
    pub(crate) upload_only: bool,
    /// Since when it knows that we want nothing any more.
    pub(crate) told_upload_only: Option<Time>,
    pub(crate) metadata: MetadataUploads,
    /// What is taken of the peers that it names.
    pub(crate) pex: Intake,
}

impl Extended {
    /// Takes what a handshake says; what it is silent about stays as it was. Answers the port on which the peer
    /// listens if it is news.
    pub(crate) fn hear(&mut self, said: &ExtensionHandshake) -> Option<u16> {
        self.ids.update(said.extensions);
        self.version = said.version.clone().or(self.version.take());
        self.our_ip = said.your_ip.or(self.our_ip);
        self.upload_only = said.upload_only.unwrap_or(self.upload_only);
        // A peer listens on one port: one that names many could fill the memory for addresses.
        if self.port.is_some() {
            return None;
        }
        self.port = said.port;
        self.port
    }

    /// The number under which it wants messages of an extension, if it wants them.
    pub(crate) fn id(&self, extension: Extension) -> Option<u8> {
        self.ids.id(extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_handshake_changes_what_it_names_and_a_second_port_is_not_believed() {
        let mut extended = Extended::default();
        let first = ExtensionHandshake {
            extensions: ExtensionIds::ours(&Extension::ALL),
            port: Some(6881),
            version: Some("x 1".to_owned()),
            your_ip: Some([1, 2, 3, 4].into()),
            ..ExtensionHandshake::default()
        };
        assert_eq!(extended.hear(&first), Some(6881));
        let second =
            ExtensionHandshake { upload_only: Some(true), port: Some(1), ..ExtensionHandshake::default() };
        assert_eq!(extended.hear(&second), None);
        assert!(extended.upload_only);
        assert_eq!((extended.port, extended.our_ip), (Some(6881), Some([1, 2, 3, 4].into())));
        assert_eq!(extended.version.as_deref(), Some("x 1"));
        assert_eq!(extended.id(Extension::Metadata), Some(1));
        let third = ExtensionHandshake { upload_only: Some(false), ..ExtensionHandshake::default() };
        extended.hear(&third);
        assert!(!extended.upload_only);
    }
}
