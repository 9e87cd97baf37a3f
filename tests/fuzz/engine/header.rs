//! Changes of the JSON in front of a safetensors file's tensors.

use crate::harness::Dice;
use crate::harness::mutate::json;

/// Changes the head of a safetensors file, as a rule with the right length in front of it.
pub fn change(content: &mut Vec<u8>, dice: &mut Dice) -> bool {
    let Some((length, rest)) = content.split_first_chunk::<8>() else { return false };
    let length = u64::from_le_bytes(*length);
    let Some((header, data)) = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length))
    else {
        return false;
    };
    let (mut header, data) = (header.to_vec(), data.to_vec());
    if !json::change(&mut header, dice) {
        return false;
    }
    let length = if dice.once_in(20) { dice.near(header.len() as u64) } else { header.len() as u64 };
    *content = [&length.to_le_bytes()[..], &header, &data].concat();
    true
}
