//! Whether somebody may come into a room: what a token says, the rules and the room in; yes, or upstream's text and element, out
//! (xmpp-server §2.9).

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::room::RoomAddress;

use crate::claims::Claims;
use crate::pattern::{self, PatternError};
use crate::rules::TokenRules;

/// The room somebody is heading to.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its address; `None`: what was asked for is no room's.
    pub address: Option<&'a RoomAddress>,
    /// The main domain, which `sub` names for rooms without tenant: `meet.jitsi`.
    pub domain: &'a str,
    /// Whether it exists. The focus makes it; a client that was faster comes again.
    pub exists: bool,
    /// Whether the room takes nobody without a token of its own tenant: its metadata's `allowUnauthenticatedAccess` is false.
    pub authenticated_only: bool,
    /// The tenant in the URL of the person's connection, as it stands there.
    pub prefix: Option<&'a str>,
}

/// Somebody may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The token is another tenant's than that of the page the person came from: it makes nobody moderator there.
    pub tenant_mismatch: bool,
}

/// Why not: a presence or IQ error `cancel`/`not-allowed`. Blame: the person. Consequence: it stays outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomRefusal {
    /// The address is no room's.
    InvalidAddress,
    /// Nobody has made it yet.
    DoesNotExist,
    /// There is no token, and the room wants one.
    AuthenticationRequired,
    /// The token is for another.
    Mismatch,
    /// The token's pattern is none.
    InvalidPattern,
    /// The token's pattern takes too long.
    ComplexPattern,
    /// The token's pattern is not looked at.
    PatternsOff,
    /// The token is for any room, which may not be.
    AnyRoom,
    /// The token is for any tenant, which may not be.
    AnySubject,
    /// The token has a pattern, which may not be.
    AnyPattern,
    /// The token names no room, or its pattern matches nothing.
    NoMatch,
    /// The token is for another room, tenant or domain.
    TokenMismatch,
    /// Whoever has no token for a room may not change its settings.
    GuestMayNotModify,
}

impl RoomRefusal {
    /// What the client shows.
    pub const fn text(self) -> &'static str {
        match self {
            Self::InvalidAddress => "Room address is invalid",
            Self::DoesNotExist => "Room does not exist",
            Self::AuthenticationRequired => "Authentication required",
            Self::Mismatch => "Room does not match the room from token",
            Self::InvalidPattern => "Room claim is not a valid Lua pattern",
            Self::ComplexPattern => "Room claim pattern is too complex",
            Self::PatternsOff => "Room claim patterns are not enabled",
            Self::AnyRoom => "Wildcard room in token not allowed",
            Self::AnySubject => "Wildcard sub in token not allowed",
            Self::AnyPattern => "Regex support not allowed for token",
            Self::NoMatch => "Room name cannot be matched to the one from token.",
            Self::TokenMismatch => "Room and token mismatched",
            Self::GuestMayNotModify => "Room modification disabled for guests",
        }
    }

    /// The element beside the condition, in `http://jitsi.org/jitmeet`.
    pub const fn element(self) -> Option<&'static str> {
        Some(match self {
            Self::InvalidAddress => "invalid-room-address",
            Self::DoesNotExist => "room-does-not-exist",
            Self::AuthenticationRequired => "authentication-required",
            Self::Mismatch => "room-mismatch",
            Self::InvalidPattern | Self::ComplexPattern | Self::PatternsOff => "invalid-regex",
            Self::NoMatch => "room-name-does-not-match",
            Self::TokenMismatch
            | Self::GuestMayNotModify
            | Self::AnyRoom
            | Self::AnySubject
            | Self::AnyPattern => return None,
        })
    }
}

impl TokenRules {
    /// Whether somebody may create or join a room. `claims`: of its token, if it has one.
    pub fn check_room(&self, claims: Option<&Claims>, place: &Place<'_>) -> Result<Admitted, RoomRefusal> {
        if let Some(claims) = claims.filter(|_| !self.wildcards) {
            names_one_room(claims)?;
        }
        let room = place.address.ok_or(RoomRefusal::InvalidAddress)?;
        if !place.exists {
            return Err(RoomRefusal::DoesNotExist);
        }
        let admitted = Admitted { tenant_mismatch: false };
        let Some(claims) = claims else {
            return match (self.allow_empty, place.authenticated_only) {
                (true, true) => Err(RoomRefusal::AuthenticationRequired),
                (true, false) => Ok(admitted),
                // Somebody who has logged in elsewhere.
                (false, _) if self.verify_domain && self.require_room => Err(RoomRefusal::NoMatch),
                (false, _) => Ok(admitted),
            };
        };
        if !self.verify_domain {
            // compat: tenant, domain and pattern are not looked at (test: compat_without_domain_verification_names_alone_count).
            let named =
                claims.room.as_ref().is_none_or(|claim| names(claim, claims.room_context.pattern, room));
            return if named { Ok(admitted) } else { Err(RoomRefusal::Mismatch) };
        }
        let Some(claim) = &claims.room else {
            // compat: then nothing else is looked at either (test: compat_a_token_for_no_room_is_for_all).
            return if self.require_room { Err(RoomRefusal::NoMatch) } else { Ok(admitted) };
        };
        let right_room = match (claim.reveal().as_str(), claims.room_context.pattern) {
            ("*", _) => true,
            (_, true) if !self.patterns => return Err(RoomRefusal::PatternsOff),
            (pattern, true) => {
                let matched = pattern::first_match(room.room().as_bytes(), pattern.as_bytes());
                let matched = matched.map_err(|error| match error {
                    PatternError::Invalid => RoomRefusal::InvalidPattern,
                    PatternError::TooComplex => RoomRefusal::ComplexPattern,
                })?;
                // What matches has to be the whole name.
                matched.ok_or(RoomRefusal::NoMatch)? == room.room().as_bytes()
            }
            (name, false) => lower(name) == room.room(),
        };
        let foreign = self.is_foreign(claims, place.prefix);
        if foreign && place.authenticated_only {
            return Err(RoomRefusal::TokenMismatch);
        }
        let subject = lower(claims.subject.reveal());
        let right_place = subject == "*" || subject == room.tenant().map_or(place.domain, |t| t.as_str());
        if right_room && right_place {
            Ok(Admitted { tenant_mismatch: foreign })
        } else {
            Err(RoomRefusal::TokenMismatch)
        }
    }

    /// Whether a token is another tenant's than that of the page that somebody came from: then it makes nobody moderator.
    pub fn is_foreign(&self, claims: &Claims, prefix: Option<&str>) -> bool {
        let other = |t: &Sensitive<String>| Some(tenant(t.reveal())) != prefix.map(tenant);
        self.verify_domain && claims.room.is_some() && claims.tenant.as_ref().is_some_and(other)
    }

    /// Whether somebody may change a room's settings as far as its token is concerned.
    pub fn check_moderation(&self, claims: Option<&Claims>) -> Result<(), RoomRefusal> {
        let for_a_room = claims.is_some_and(|c| c.room.is_some());
        if self.token_for_moderation && !for_a_room { Err(RoomRefusal::GuestMayNotModify) } else { Ok(()) }
    }
}

/// Whether a token is for one room of one tenant.
fn names_one_room(claims: &Claims) -> Result<(), RoomRefusal> {
    if claims.room.as_ref().is_some_and(|room| room.reveal() == "*") {
        return Err(RoomRefusal::AnyRoom);
    }
    if claims.subject.reveal() == "*" {
        return Err(RoomRefusal::AnySubject);
    }
    if claims.room_context.pattern { Err(RoomRefusal::AnyPattern) } else { Ok(()) }
}

/// Whether a claim is this room's name, with or without its tenant, or any.
fn names(claim: &Sensitive<String>, pattern: bool, room: &RoomAddress) -> bool {
    let claim = claim.reveal();
    let claim = if pattern { claim.clone() } else { lower(claim) };
    if claim == "*" || claim == room.room() {
        return true;
    }
    let Some(tenant) = room.tenant() else { return false };
    let within = claim.strip_prefix('[').and_then(|c| c.strip_prefix(tenant.as_str())?.strip_prefix(']'));
    within == Some(room.room())
}

/// Tenants of pages, in the one spelling that they have in addresses.
fn tenant(text: &str) -> String {
    lower(text).replace('.', "_")
}

/// Addresses are in lower case.
fn lower(text: &str) -> String {
    text.to_lowercase()
}
