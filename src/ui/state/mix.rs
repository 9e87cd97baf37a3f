//! Several adapters on one model at once, each with a weight.

use std::path::PathBuf;

use protocol::{ModelRef, Text, text};

use super::tuned::{Tuned, TunedKind};

/// Those who act together with an adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// Of the adapter itself.
    pub weight: f64,
    pub others: Vec<Joined>,
    /// Their changes are worked into the loaded matrices, for faster answers.
    pub merged: bool,
}

/// An adapter that joined another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    pub tuned: Tuned,
    pub weight: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { weight: 1.0, others: Vec::new(), merged: false }
    }
}

impl Mix {
    /// Whether there is but one adapter.
    pub fn is_single(&self) -> bool {
        self.others.is_empty()
    }
}

impl Tuned {
    /// Whether other adapters can join it.
    pub fn takes_others(&self) -> bool {
        matches!(self.kind, TunedKind::Adapter(_))
    }

    /// Another adapter acts with it from now on. One that is there already, or that is no adapter, changes nothing.
    pub fn join(&mut self, other: Self) {
        let known = |dir| self.adapters().contains(dir);
        if self.takes_others() && matches!(&other.kind, TunedKind::Adapter(dir) if !known(dir)) {
            self.mix.others.push(Joined { tuned: other, weight: 1.0 });
        }
    }

    /// Everybody who acts, with his weight.
    pub fn members(&self) -> impl Iterator<Item = (&Self, f64)> {
        let others = self.mix.others.iter().map(|other| (&other.tuned, other.weight));
        std::iter::once((self, self.mix.weight)).chain(others)
    }

    /// The weight of one of them, to be changed.
    pub fn weight_mut(&mut self, member: usize) -> Option<&mut f64> {
        match member.checked_sub(1) {
            None => Some(&mut self.mix.weight),
            Some(other) => self.mix.others.get_mut(other).map(|other| &mut other.weight),
        }
    }

    /// Without one of them. The last one cannot go; alone again, it acts as it is.
    pub fn without(mut self, member: usize) -> Self {
        let mut mix = std::mem::take(&mut self.mix);
        if member > 0 && member <= mix.others.len() {
            mix.others.remove(member - 1);
        } else if member == 0 && !mix.others.is_empty() {
            let Joined { tuned, weight } = mix.others.remove(0);
            self = tuned;
            mix.weight = weight;
        }
        if !mix.is_single() {
            self.mix = mix;
        }
        self
    }

    /// Folders of all adapters; none of a whole model.
    pub fn adapters(&self) -> Vec<PathBuf> {
        let dir = |(tuned, _): (&Self, f64)| match &tuned.kind {
            TunedKind::Adapter(dir) => Some(dir.clone()),
            TunedKind::Live | TunedKind::Model(_) => None,
        };
        self.members().filter_map(dir).collect()
    }

    /// How people call it: `story-2 + poems`.
    pub fn name(&self) -> Text {
        let names = |pick: fn(&Text) -> &str| {
            self.members().map(|(tuned, _)| pick(&tuned.label)).collect::<Vec<_>>().join(" + ")
        };
        Text::new(names(|text| &text.en), names(|text| &text.zh))
    }

    /// The same where all members are named beside it: `3 adapters`.
    pub fn short_name(&self) -> Text {
        match self.members().count() {
            1 => self.label.clone(),
            many => text!("{many} adapters", "{many} 个适配器"),
        }
    }

    /// What is loaded for it: its model with its adapters, or its own folder. While it trains, its base.
    pub fn on(&self, base: ModelRef) -> ModelRef {
        match &self.kind {
            TunedKind::Live => base,
            TunedKind::Model(dir) => ModelRef { path: dir.clone(), ..base },
            TunedKind::Adapter(_) if self.mix.is_single() => ModelRef { adapters: self.adapters(), ..base },
            TunedKind::Adapter(_) => {
                let weights = self.members().map(|(_, weight)| weight).collect();
                ModelRef { adapters: self.adapters(), weights, merged: self.mix.merged, ..base }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(dir: &str) -> Tuned {
        Tuned::folder(dir.into())
    }

    fn two() -> Tuned {
        let mut tuned = adapter("/a");
        tuned.join(adapter("/b"));
        tuned
    }

    #[test]
    fn an_adapter_alone_has_no_weights() {
        let alone = adapter("/a").on(ModelRef::default());
        assert_eq!((alone.adapters.len(), alone.weights.len(), alone.merged), (1, 0, false));
    }

    #[test]
    fn several_have_a_weight_each_and_none_joins_twice() {
        let mut tuned = two();
        tuned.join(adapter("/b"));
        tuned.join(Tuned::live());
        *tuned.weight_mut(1).unwrap() = -0.5;
        tuned.mix.merged = true;
        let model = tuned.on(ModelRef::default());
        assert_eq!(model.adapters, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!((model.weights, model.merged), (vec![1.0, -0.5], true));
        assert_eq!(tuned.name().en, "a + b");
        assert_eq!(tuned.weight_mut(2), None);
    }

    #[test]
    fn whoever_stays_keeps_his_weight_until_he_is_alone() {
        let mut tuned = two();
        tuned.join(adapter("/c"));
        *tuned.weight_mut(1).unwrap() = 0.25;
        let rest = tuned.clone().without(0);
        assert_eq!(rest.members().map(|(_, weight)| weight).collect::<Vec<_>>(), [0.25, 1.0]);
        assert_eq!(rest.adapters(), [PathBuf::from("/b"), PathBuf::from("/c")]);
        let alone = rest.without(1);
        assert_eq!(alone, adapter("/b"));
        assert_eq!(alone.clone().without(0), alone);
    }
}
