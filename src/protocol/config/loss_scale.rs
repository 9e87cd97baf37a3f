//! `train.loss_scale`: a word or a number.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DYNAMIC: &str = "dynamic";

/// What losses are multiplied by before the backward pass, so that small gradients do not vanish in f16.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum LossScale {
    /// In f16 as CPM-Bee's script has it; none in other dtypes.
    #[default]
    Dynamic,
    /// Always this one, in every dtype.
    Static(f64),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Word(String),
    /// JSON has no word for what is not finite.
    Number(Option<f64>),
}

impl<'de> Deserialize<'de> for LossScale {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wanted = || D::Error::custom("loss_scale is \"dynamic\" or a number");
        match Given::deserialize(from).map_err(|_not_one| wanted())? {
            Given::Word(word) if word == DYNAMIC => Ok(Self::Dynamic),
            Given::Word(_) => Err(wanted()),
            Given::Number(number) => Ok(Self::Static(number.unwrap_or(f64::NAN))),
        }
    }
}

impl Serialize for LossScale {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Dynamic => to.serialize_str(DYNAMIC),
            Self::Static(number) => to.serialize_f64(*number),
        }
    }
}
