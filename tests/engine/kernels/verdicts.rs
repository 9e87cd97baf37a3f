//! What is done with kernels that lie, fail or are right, on the CPU; and the input that the real ones are tried with.

use std::sync::LazyLock;

use burn::tensor::{DType, Device, Tensor};
use engine::nn::ops::own::{self, KERNELS, Own, Path, Scale, Verdict, Verdicts, Work};

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.cast(DType::F32).into_data().try_to_vec().unwrap()
}

/// A kernel that adds one to some numbers, in its own way.
struct StandIn {
    name: &'static str,
    kernel: fn(Tensor<1>) -> Vec<Tensor<1>>,
}

impl Own for StandIn {
    fn name(&self) -> &'static str {
        self.name
    }

    fn work(&self, _: Scale, _: &Device, dtype: DType) -> Work {
        let numbers: Vec<f32> = (0..300).map(|at| (at * 37 % 101) as f32 / 101.0 - 0.4).collect();
        let input = Tensor::<1>::from_data(numbers.as_slice(), &Device::flex()).cast(dtype);
        let kernel = self.kernel;
        Box::new(move |path| match path {
            Path::Kernel => kernel(input.clone()),
            Path::Twin => vec![input.clone() + 1.0, input.clone()],
        })
    }
}

static RIGHT: StandIn = StandIn { name: "right", kernel: |x| vec![x.clone() + 1.0, x] };
static SUMS_OTHERWISE: StandIn =
    StandIn { name: "sums otherwise", kernel: |x| vec![x.clone() + 1.000_01, x] };
static LIES: StandIn = StandIn { name: "lies", kernel: |x| vec![x.clone() + 1.05, x] };
static LIES_ONCE: StandIn = StandIn {
    name: "lies once",
    kernel: |x| {
        let other = Tensor::cat(vec![x.clone().narrow(0, 0, 299) + 1.0, x.clone().narrow(0, 299, 1)], 0);
        vec![other, x]
    },
};
static NO_NUMBERS: StandIn = StandIn { name: "no numbers", kernel: |x| vec![x.clone() / 0.0, x] };
static OVERWRITES: StandIn = StandIn { name: "overwrites", kernel: |x| vec![x.clone() + 1.0, x * 0.5] };
static CUTS_OFF: StandIn =
    StandIn { name: "cuts off", kernel: |x| vec![(x.clone() + 1.0).narrow(0, 0, 299), x] };
static FORGETS: StandIn = StandIn { name: "forgets", kernel: |x| vec![x + 1.0] };
static FAILS: StandIn = StandIn { name: "fails", kernel: |_| panic!("NVRTC does not know this card") };

static ALL: LazyLock<Vec<&'static dyn Own>> = LazyLock::new(|| {
    let all: [&StandIn; 9] =
        [&RIGHT, &SUMS_OTHERWISE, &LIES, &LIES_ONCE, &NO_NUMBERS, &OVERWRITES, &CUTS_OFF, &FORGETS, &FAILS];
    all.into_iter().map(|one| one as &dyn Own).collect()
});

#[test]
fn only_what_agrees_with_its_composition_serves() {
    let (verdicts, device) = (Verdicts::new(), Device::flex());
    assert_eq!(verdicts.of("right", &device, DType::F32), None, "nothing serves that was not tried");
    verdicts.settle(&ALL, &device, DType::F32);
    let of = |kernel: &StandIn| verdicts.of(kernel.name, &device, DType::F32).unwrap();
    assert_eq!(of(&RIGHT), Verdict::Serves);
    assert_eq!(of(&SUMS_OTHERWISE), Verdict::Serves, "a rounding is no lie");
    for liar in [&LIES, &LIES_ONCE, &OVERWRITES] {
        let verdict = of(liar);
        assert!(
            matches!(verdict, Verdict::Differs(by) if (0.01..1.0).contains(&by)),
            "{}: {verdict:?}",
            liar.name
        );
    }
    for broken in [&NO_NUMBERS, &CUTS_OFF, &FORGETS] {
        assert_eq!(of(broken), Verdict::Differs(f64::INFINITY), "{}", broken.name);
    }
    assert_eq!(of(&FAILS), Verdict::Failed("NVRTC does not know this card".into()));
}

#[test]
fn a_verdict_holds_for_one_element_type() {
    let (verdicts, device) = (Verdicts::new(), Device::flex());
    verdicts.settle(&ALL, &device, DType::BF16);
    assert_eq!(verdicts.of("right", &device, DType::F32), None);
    // A twentieth is more than bf16 rounds.
    assert!(matches!(verdicts.of("lies", &device, DType::BF16), Some(Verdict::Differs(_))));
    assert_eq!(verdicts.of("right", &device, DType::BF16), Some(Verdict::Serves));
}

#[test]
fn a_report_names_what_is_left_out_and_why() {
    let (verdicts, device) = (Verdicts::new(), Device::flex());
    verdicts.settle(&[&RIGHT], &device, DType::F32);
    assert_eq!(verdicts.told(&device), None);
    verdicts.settle(&ALL, &device, DType::F32);
    let told = verdicts.told(&device).unwrap();
    assert!(told.en.contains("fails (F32) failed (NVRTC does not know this card)"), "{}", told.en);
    assert!(told.en.contains("lies (F32) is off by") && told.zh.contains("lies (F32) 误差为"), "{told:?}");
    assert!(!told.en.contains("right") && !told.en.contains("sums otherwise"), "{}", told.en);
}

/// The real ones cannot run on the CPU: they are refused, and nothing else happens.
#[test]
fn a_device_that_runs_none_of_them_gets_none() {
    let (verdicts, device) = (Verdicts::new(), Device::flex());
    verdicts.settle(KERNELS, &device, DType::F32);
    for kernel in KERNELS {
        let verdict = verdicts.of(kernel.name(), &device, DType::F32);
        assert!(matches!(verdict, Some(Verdict::Failed(_))), "{}: {verdict:?}", kernel.name());
    }
    own::settle(&device, DType::F32);
    assert_eq!(own::note(&device), None);
    assert_eq!(own::serving(&device, DType::F32), own::Serving::default());
}

/// A kernel is told apart from a wrong one only by input that makes a difference.
#[test]
fn what_kernels_are_tried_with_has_numbers_in_it() {
    for (kernel, dtype) in
        KERNELS.iter().flat_map(|kernel| [DType::F32, DType::BF16].map(|dtype| (kernel, dtype)))
    {
        let results = kernel.work(Scale::Trial, &Device::flex(), dtype)(Path::Twin);
        assert!(results.len() > 1, "{}", kernel.name());
        for result in results.into_iter().map(values) {
            assert!(result.iter().all(|value| value.is_finite()), "{}", kernel.name());
            assert!(result.len() == 1 || result.iter().any(|value| *value != result[0]), "{}", kernel.name());
        }
    }
}
