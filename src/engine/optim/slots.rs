//! What optimizers remember, tensor by tensor, and its way into checkpoints and back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Bytes, DType, Device, Int, Tensor, TensorData};
use protocol::{Result, Text, UserError};

use crate::device_failure;
use crate::nn::on;
use crate::weights::{Checkpoint, FileDtype, Planned, ShardPlan, load_tensor, put_floats};

/// One state tensor.
#[derive(Clone, Debug)]
pub enum Stored {
    Floats(Tensor<1>),
    /// `u8` codes.
    Codes(Tensor<1, Int>),
    /// f32 on the host.
    Host(Arc<TensorData>),
}

impl Stored {
    fn dtype(&self) -> FileDtype {
        match self {
            Self::Codes(_) => FileDtype::U8,
            Self::Floats(_) | Self::Host(_) => FileDtype::F32,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Floats(floats) => floats.dims()[0],
            Self::Codes(codes) => codes.dims()[0],
            Self::Host(data) => data.shape().iter().product(),
        }
    }

    fn data(&self) -> Result<TensorData> {
        match self {
            Self::Floats(floats) => floats.clone().try_into_data(),
            Self::Codes(codes) => codes.clone().try_into_data(),
            Self::Host(data) => return Ok(data.as_ref().clone()),
        }
        .map_err(|err| device_failure(&err))
    }
}

/// States by parameter and kind: `model.norm.weight#m`.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    on_host: bool,
    stored: BTreeMap<String, Stored>,
}

impl Slots {
    /// With `on_host`, numbers live on the host between two updates.
    pub fn new(on_host: bool) -> Self {
        Self { on_host, stored: BTreeMap::new() }
    }

    /// Whether numbers live on the host between two updates.
    pub fn on_host(&self) -> bool {
        self.on_host
    }

    /// A state taken out for an update, on the device; `length` zeros before the first.
    pub fn take(&mut self, name: &str, kind: &str, length: usize, device: &Device) -> Tensor<1> {
        match self.stored.remove(&key(name, kind)) {
            Some(Stored::Floats(floats)) => floats,
            Some(Stored::Host(data)) => Tensor::from_data(Arc::unwrap_or_clone(data), (device, DType::F32)),
            Some(Stored::Codes(_)) | None => Tensor::zeros([length], (device, DType::F32)),
        }
    }

    /// # Errors
    /// When the device fails on the way to the host.
    pub fn put(&mut self, name: &str, kind: &str, state: Tensor<1>) -> Result<()> {
        let mut state = Stored::Floats(state);
        if self.on_host {
            state = Stored::Host(Arc::new(state.data()?));
        }
        self.stored.insert(key(name, kind), state);
        Ok(())
    }

    /// Codes taken out for an update; None before the first.
    pub fn take_codes(&mut self, name: &str, kind: &str) -> Option<Tensor<1, Int>> {
        match self.stored.remove(&key(name, kind))? {
            Stored::Codes(codes) => Some(codes),
            Stored::Floats(_) | Stored::Host(_) => None,
        }
    }

    pub fn put_codes(&mut self, name: &str, kind: &str, codes: Tensor<1, Int>) {
        self.stored.insert(key(name, kind), Stored::Codes(codes));
    }

    /// Brings what is on a device to the one that `place` has for the parameter.
    pub fn settle(&mut self, place: impl Fn(&str) -> Device) {
        for (key, state) in &mut self.stored {
            let device = place(key.rsplit_once('#').map_or(key.as_str(), |(name, _)| name));
            match state {
                Stored::Floats(floats) => *floats = on(floats.clone(), &device),
                Stored::Codes(codes) => *codes = codes.clone().to_device(&device),
                Stored::Host(_) => {}
            }
        }
    }

    /// Bytes of what is on a device other than the host.
    pub fn device_bytes(&self) -> u64 {
        let host = Device::flex();
        let bytes = |stored: &Stored| match stored {
            Stored::Floats(floats) if floats.device() != host => 4 * stored.len() as u64,
            Stored::Codes(codes) if codes.device() != host => stored.len() as u64,
            Stored::Floats(_) | Stored::Codes(_) | Stored::Host(_) => 0,
        };
        self.stored.values().map(bytes).sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Stored)> {
        self.stored.iter().map(|(name, state)| (name.as_str(), state))
    }

    /// Writes `<stem>.safetensors` into `dir`.
    ///
    /// # Errors
    /// When the device fails or the file cannot be written.
    pub fn write(&self, dir: &Path, stem: &str) -> Result<()> {
        let planned = self.stored.iter().map(|(name, state)| Planned {
            name: name.clone(),
            dtype: state.dtype(),
            shape: vec![state.len()],
        });
        let plan = ShardPlan::new(stem, planned.collect(), u64::MAX)?;
        plan.write(dir, |tensor, sink| match self.stored.get(&tensor.name) {
            Some(Stored::Floats(floats)) => put_floats(sink, floats),
            Some(Stored::Host(data)) => sink.put(data.as_bytes()),
            Some(codes @ Stored::Codes(_)) => sink.put(codes.data()?.as_bytes()),
            None => Ok(()),
        })?;
        Ok(())
    }

    /// Takes over what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// When a tensor cannot be read or is none that an optimizer writes.
    pub fn read(&mut self, file: &Checkpoint, device: &Device) -> Result<()> {
        self.stored.clear();
        for name in file.names() {
            let info = file.info(name);
            let dtype = info.as_ref().map(|info| info.dtype);
            let state = match (dtype, self.on_host) {
                (Some(FileDtype::F32), true) => {
                    let numbers = file.read_f32(name)?;
                    let shape = [numbers.len()];
                    Stored::Host(Arc::new(TensorData::new(numbers, shape)))
                }
                (Some(FileDtype::F32), false) => {
                    Stored::Floats(load_tensor::<1>(file, name, device, DType::F32)?)
                }
                (Some(FileDtype::U8), _) => {
                    let codes = file.bytes(name)?.into_owned();
                    let shape = [codes.len()];
                    let data = TensorData::from_bytes(Bytes::from_elems(codes), shape, DType::U8);
                    Stored::Codes(Tensor::from_data(data, (device, DType::U8)))
                }
                _ => return Err(strange(file, name)),
            };
            self.stored.insert(name.to_owned(), state);
        }
        Ok(())
    }
}

fn key(name: &str, kind: &str) -> String {
    format!("{name}#{kind}")
}

fn strange(file: &Checkpoint, name: &str) -> UserError {
    let error = UserError::bad_input(Text::fixed(
        "The checkpoint holds an optimizer state in a format that no optimizer writes",
        "检查点中有任何优化器都不会写出的状态格式",
    ))
    .at_item(name);
    match file.info(name) {
        Some(info) => error.in_file(info.file),
        None => error,
    }
}
