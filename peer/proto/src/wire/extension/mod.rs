//! What [`super::Message::Extended`] carries (BEP 10): the extension handshake and the extensions that we speak.
//!
//! Purpose: parse and write the payloads: [`ExtensionHandshake`] (BEP 10, 21), [`MetadataMessage`] (BEP 9), [`Pex`]
//! (BEP 11) and [`DontHave`] (BEP 54).
//!
//! Invariant: what `parse` gives is within the limits named here. A number of a stranger is clamped or taken for not
//! said where a wrong one does no harm, and is an error where the message makes no sense with it. Nothing is
//! allocated by what a payload states, only by what it holds.
//!
//! When something may be sent, how often, and what follows from it is the engine's business.

mod dont_have;
mod error;
mod handshake;
mod metadata;
mod pex;
mod reader;

use std::num::NonZeroU8;

pub use dont_have::DontHave;
pub use error::ExtensionError;
pub use handshake::{ExtensionHandshake, MAX_METADATA_LENGTH, MAX_REQQ, MAX_VERSION_CHARS};
pub use metadata::{METADATA_PIECE_LENGTH, MetadataMessage, metadata_piece_count, metadata_piece_length};
pub use pex::{MAX_PEX_ENTRIES, Pex, PexFlags, PexPeer};

/// The extended id of the handshake, the same for everyone (BEP 10).
pub const HANDSHAKE_ID: u8 = 0;

/// An extension that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// `ut_metadata` (BEP 9).
    Metadata,
    /// `ut_pex` (BEP 11).
    Pex,
    /// `lt_donthave` (BEP 54).
    DontHave,
}

impl Extension {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Metadata, Self::Pex, Self::DontHave];

    /// Its key in the handshake's `m`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Metadata => "ut_metadata",
            Self::Pex => "ut_pex",
            Self::DontHave => "lt_donthave",
        }
    }

    /// The extended id that its messages to us have.
    #[must_use]
    pub const fn our_id(self) -> u8 {
        match self {
            Self::Metadata => 1,
            Self::Pex => 2,
            Self::DontHave => 3,
        }
    }

    /// Whose messages to us have this extended id; `None` for the handshake's and for those that we never gave out.
    #[must_use]
    pub fn of_our_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.our_id() == id)
    }
}

/// The extended ids under which one side wants to be sent messages: what the `m` of a handshake says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    /// In the order of [`Extension::ALL`]: `None` was not said, 0 is switched off.
    ids: [Option<u8>; Extension::ALL.len()],
}

impl ExtensionIds {
    /// Ours, of these extensions.
    #[must_use]
    pub fn ours(spoken: &[Extension]) -> Self {
        let id = |extension: Extension| spoken.contains(&extension).then(|| extension.our_id());
        Self { ids: Extension::ALL.map(id) }
    }

    /// The id under which messages of this extension are sent; `None` if they are not wanted.
    #[must_use]
    pub fn id(&self, extension: Extension) -> Option<u8> {
        self.said(extension).and_then(NonZeroU8::new).map(NonZeroU8::get)
    }

    /// Takes over what a later handshake says; what it is silent about stays.
    pub fn update(&mut self, news: Self) {
        for (id, new) in self.ids.iter_mut().zip(news.ids) {
            *id = new.or(*id);
        }
    }

    /// What is said of an extension, 0 to switch it off.
    fn said(&self, extension: Extension) -> Option<u8> {
        Extension::ALL.into_iter().zip(self.ids).find(|(other, _)| *other == extension)?.1
    }

    /// With what `said` gives for each: `None` for nothing, 0 to switch it off.
    fn from_fn(said: impl FnMut(Extension) -> Option<u8>) -> Self {
        Self { ids: Extension::ALL.map(said) }
    }
}

#[cfg(test)]
mod mutation_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_ids_are_neither_shared_nor_the_handshakes() {
        for extension in Extension::ALL {
            assert_eq!(Extension::of_our_id(extension.our_id()), Some(extension));
        }
        assert_eq!(Extension::of_our_id(HANDSHAKE_ID), None);
        assert_eq!(Extension::of_our_id(4), None);
    }

    #[test]
    fn a_later_handshake_changes_what_it_names_and_nothing_else() {
        let mut ids = ExtensionIds::from_fn(|extension| Some(extension.our_id() + 10));
        ids.update(ExtensionIds::from_fn(|extension| match extension {
            Extension::Metadata => Some(0),
            Extension::Pex => Some(99),
            Extension::DontHave => None,
        }));
        assert_eq!(ids.id(Extension::Metadata), None, "switched off");
        assert_eq!(ids.id(Extension::Pex), Some(99));
        assert_eq!(ids.id(Extension::DontHave), Some(13));
        assert_eq!(ExtensionIds::default().id(Extension::Pex), None);
    }

    #[test]
    fn we_ask_only_for_what_we_speak_with_this_peer() {
        let ids = ExtensionIds::ours(&[Extension::Metadata, Extension::DontHave]);
        assert_eq!(Extension::ALL.map(|extension| ids.id(extension)), [Some(1), None, Some(3)]);
    }
}
