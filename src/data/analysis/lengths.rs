//! Tokens by who wrote them.

use std::collections::BTreeMap;

use protocol::{RoleLengths, TokenRole};

use crate::histogram::histogram;

/// In the order in which they are told.
const ROLES: [TokenRole; 6] = [
    TokenRole::System,
    TokenRole::User,
    TokenRole::Assistant,
    TokenRole::Tool,
    TokenRole::Text,
    TokenRole::Template,
];

/// Turns of a row: tokens in a row that the same one wrote.
pub fn turns(roles: &[TokenRole]) -> Vec<(TokenRole, u32)> {
    roles
        .chunk_by(|a, b| a == b)
        .map(|turn| (turn[0], u32::try_from(turn.len()).unwrap_or(u32::MAX)))
        .collect()
}

#[derive(Default)]
pub struct Lengths {
    /// For each role, how many turns have how many tokens.
    counts: [BTreeMap<u32, u64>; ROLES.len()],
}

impl Lengths {
    pub fn add(&mut self, turns: &[(TokenRole, u32)]) {
        for (role, tokens) in turns {
            if let Some(at) = ROLES.iter().position(|known| known == role) {
                *self.counts[at].entry(*tokens).or_default() += 1;
            }
        }
    }

    /// The roles that occur.
    pub fn told(self) -> Vec<RoleLengths> {
        let roles = ROLES.into_iter().zip(self.counts).filter(|(_, counts)| !counts.is_empty());
        let told = |(role, counts): (TokenRole, BTreeMap<u32, u64>)| {
            let pairs = || counts.iter().map(|(tokens, turns)| (u64::from(*tokens), *turns));
            RoleLengths {
                role,
                turns: pairs().map(|(_, turns)| turns).sum(),
                tokens: pairs().map(|(tokens, turns)| tokens * turns).sum(),
                longest: pairs().map(|(tokens, _)| tokens).max().unwrap_or(0),
                lengths: histogram(pairs()),
            }
        };
        roles.map(told).collect()
    }
}
