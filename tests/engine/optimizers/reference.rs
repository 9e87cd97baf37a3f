//! The papers' formulas in plain f64, one parameter at a time.

/// What an update works on.
pub struct Subject {
    pub rows: usize,
    pub columns: usize,
    /// Whether it counts as a matrix.
    pub matrix: bool,
}

/// One rule with its state.
pub enum Rule {
    AdamW { betas: [f64; 2], eps: f64, m: Vec<f64>, v: Vec<f64> },
    Lion { betas: [f64; 2], m: Vec<f64> },
    Sgd { momentum: f64, nesterov: bool, m: Vec<f64> },
    Adafactor { row: Vec<f64>, column: Vec<f64>, v: Vec<f64> },
    Muon { matched: bool, m: Vec<f64> },
}

fn mix(a: &mut [f64], keep: f64, b: &[f64], take: f64) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = *a * keep + b * take);
}

impl Rule {
    pub fn of(id: &str, subject: &Subject) -> Self {
        let zeros = || vec![0.0; subject.rows * subject.columns];
        match id {
            "lion" => Self::Lion { betas: [0.9, 0.99], m: zeros() },
            "sgd" => Self::Sgd { momentum: 0.9, nesterov: false, m: zeros() },
            "sgd-nesterov" => Self::Sgd { momentum: 0.8, nesterov: true, m: zeros() },
            "adafactor" => Self::Adafactor {
                row: vec![0.0; subject.rows],
                column: vec![0.0; subject.columns],
                v: zeros(),
            },
            "muon" if subject.matrix => Self::Muon { matched: true, m: zeros() },
            "muon-original" if subject.matrix => Self::Muon { matched: false, m: zeros() },
            _ => Self::AdamW { betas: [0.9, 0.95], eps: 1e-8, m: zeros(), v: zeros() },
        }
    }

    /// Update `t`, from 1.
    pub fn update(&mut self, p: &mut [f64], g: &[f64], subject: &Subject, lr: f64, decay: f64, t: u32) {
        let shrink = 1.0 - lr * decay;
        match self {
            Self::AdamW { betas: [b1, b2], eps, m, v } => {
                let squares: Vec<f64> = g.iter().map(|g| g * g).collect();
                mix(m, *b1, g, 1.0 - *b1);
                mix(v, *b2, &squares, 1.0 - *b2);
                let (c1, c2) = (1.0 - b1.powf(t.into()), 1.0 - b2.powf(t.into()));
                for ((p, m), v) in p.iter_mut().zip(m).zip(v) {
                    *p = *p * shrink - lr * (*m / c1) / ((*v / c2).sqrt() + *eps);
                }
            }
            Self::Lion { betas: [b1, b2], m } => {
                for ((p, m), g) in p.iter_mut().zip(&*m).zip(g) {
                    let c = *b1 * m + (1.0 - *b1) * g;
                    *p = *p * shrink - lr * if c == 0.0 { 0.0 } else { c.signum() };
                }
                mix(m, *b2, g, 1.0 - *b2);
            }
            Self::Sgd { momentum, nesterov, m } => {
                for ((p, m), g) in p.iter_mut().zip(m).zip(g) {
                    let g = g + decay * *p;
                    *m = *momentum * *m + g;
                    *p -= lr * if *nesterov { g + *momentum * *m } else { *m };
                }
            }
            Self::Adafactor { row, column, v } => {
                let update = adafactor(row, column, v, g, subject, t);
                let size = (update.iter().map(|u| u * u).sum::<f64>() / g.len() as f64).sqrt().max(1.0);
                p.iter_mut().zip(update).for_each(|(p, u)| *p = *p * shrink - lr * u / size);
            }
            Self::Muon { matched, m } => {
                mix(m, 0.95, g, 0.05);
                let ahead: Vec<f64> = m.iter().zip(g).map(|(m, g)| 0.95 * m + 0.05 * g).collect();
                let (rows, columns) = (subject.rows as f64, subject.columns as f64);
                let factor =
                    if *matched { 0.2 * rows.max(columns).sqrt() } else { (rows / columns).max(1.0).sqrt() };
                let step = newton_schulz(&ahead, subject.rows, subject.columns);
                p.iter_mut().zip(step).for_each(|(p, s)| *p = *p * shrink - lr * factor * s);
            }
        }
    }
}

fn adafactor(
    row: &mut [f64],
    column: &mut [f64],
    v: &mut [f64],
    g: &[f64],
    subject: &Subject,
    t: u32,
) -> Vec<f64> {
    let keep = 1.0 - f64::from(t).powf(-0.8);
    let squares: Vec<f64> = g.iter().map(|g| g * g + 1e-30).collect();
    if !subject.matrix {
        mix(v, keep, &squares, 1.0 - keep);
        return g.iter().zip(v).map(|(g, v)| g / v.sqrt()).collect();
    }
    let (rows, columns) = (subject.rows, subject.columns);
    let of_rows: Vec<f64> =
        squares.chunks(columns).map(|row| row.iter().sum::<f64>() / columns as f64).collect();
    let of_columns: Vec<f64> =
        (0..columns).map(|c| squares.iter().skip(c).step_by(columns).sum::<f64>() / rows as f64).collect();
    mix(row, keep, &of_rows, 1.0 - keep);
    mix(column, keep, &of_columns, 1.0 - keep);
    let mean = row.iter().sum::<f64>() / rows as f64;
    let estimate = |at: usize| row[at / columns] * column[at % columns] / mean;
    g.iter().enumerate().map(|(at, g)| g / estimate(at).sqrt()).collect()
}

/// `[n, k] × [k, m]`.
fn product(a: &[f64], b: &[f64], [n, k, m]: [usize; 3]) -> Vec<f64> {
    let cell = |at: usize| (0..k).map(|i| a[at / m * k + i] * b[i * m + at % m]).sum();
    (0..n * m).map(cell).collect()
}

fn transposed(a: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    (0..rows * columns).map(|at| a[at % rows * columns + at / rows]).collect()
}

fn newton_schulz(g: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    if rows > columns {
        return transposed(&newton_schulz(&transposed(g, rows, columns), columns, rows), columns, rows);
    }
    let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt().max(1e-7);
    let mut x: Vec<f64> = g.iter().map(|g| g / norm).collect();
    for _ in 0..5 {
        let gram = product(&x, &transposed(&x, rows, columns), [rows, columns, rows]);
        let squared = product(&gram, &gram, [rows, rows, rows]);
        let mixed: Vec<f64> = gram.iter().zip(squared).map(|(a, b)| -4.7750 * a + 2.0315 * b).collect();
        let moved = product(&mixed, &x, [rows, rows, columns]);
        mix(&mut x, 3.4445, &moved, 1.0);
    }
    x
}
