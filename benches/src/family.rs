//! Families of models that training is measured with. `pytorch/throughput.py` has the same ones.

use std::fmt::Write;

/// The rows of one training step.
pub const BATCH: usize = 32;

/// The number of classes of every family.
pub const CLASSES: usize = 10;

/// A family: models of one architecture that differ in their seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A perceptron 64-32-32-10, trained with SGD with momentum: its steps are all overhead.
    MlpTiny,
    /// A perceptron 784-256-128-10, trained with SGD with momentum: its steps are products.
    MlpLarge,
    /// Two convolutions of 3x3 with pooling over images of 1x8x8, trained with Adam.
    Cnn,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 3] = [Family::MlpTiny, Family::MlpLarge, Family::Cnn];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Family::MlpTiny => "mlp-tiny",
            Family::MlpLarge => "mlp-large",
            Family::Cnn => "cnn",
        }
    }

    /// The dims of one sample.
    pub fn sample(self) -> &'static [usize] {
        match self {
            Family::MlpTiny => &[64],
            Family::MlpLarge => &[784],
            Family::Cnn => &[1, 8, 8],
        }
    }

    /// The optimizer's name and options.
    pub fn optimizer(self) -> (&'static str, &'static [(&'static str, f64)]) {
        match self {
            Family::MlpTiny | Family::MlpLarge => ("sgd", &[("lr", 0.01), ("momentum", 0.9)]),
            Family::Cnn => ("adam", &[("lr", 0.001)]),
        }
    }

    /// Steps for a measurement of a second or a few with 16 models.
    pub fn steps(self) -> usize {
        match self {
            Family::MlpTiny => 1_000,
            Family::MlpLarge => 150,
            Family::Cnn => 150,
        }
    }

    /// The model graph in text form.
    pub fn text(self) -> String {
        let mut draft = Draft::default();
        let dims: Vec<String> = self.sample().iter().map(usize::to_string).collect();
        let dims = dims.join(", ");
        draft.line(&format!(
            "x = input {{model=m0, name=\"x\", dtype=f32, dims=dims[n, {dims}]}}"
        ));
        let output = match self {
            Family::MlpTiny => draft.perceptron(&[64, 32, 32, CLASSES]),
            Family::MlpLarge => draft.perceptron(&[784, 256, 128, CLASSES]),
            Family::Cnn => {
                draft.convolve("x", 1, 16, 1);
                draft.convolve("p1", 16, 32, 2);
                draft.line("flat = reshape p2 {dims=dims[n, 128]}");
                draft.linear("flat", 128, CLASSES, 3)
            }
        };
        draft.line(&format!("result m0 \"output\" = {output}"));
        draft.finish(self.name())
    }
}

/// The text of a model while it grows.
#[derive(Default)]
struct Draft {
    states: String,
    graph: String,
    count: usize,
}

impl Draft {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.graph, "  {line}");
    }

    /// A layer's weight and bias with PyTorch's first values, as the values `w` and `b` of the
    /// layer's number.
    fn parameters(&mut self, layer: usize, weight: &str, fan_in: usize, outputs: usize) {
        let bound = 1.0 / (fan_in as f64).sqrt();
        for (letter, part, dims) in [
            ("w", "weight", weight),
            ("b", "bias", &*outputs.to_string()),
        ] {
            let (state, path) = (self.count, format!("{layer}.{part}"));
            self.count += 1;
            let _ = writeln!(
                self.states,
                "  \"{path}\" = s{state} : f32[{dims}] trainable init(uniform(-{bound}, {bound}), \
                 stream(_, \"{path}\", 0))"
            );
            self.line(&format!("{letter}{layer} = state {{of=s{state}}}"));
        }
    }

    fn linear(&mut self, x: &str, inputs: usize, outputs: usize, layer: usize) -> String {
        self.parameters(layer, &format!("{outputs}, {inputs}"), inputs, outputs);
        self.line(&format!("y{layer} = linear {x}, w{layer}, b{layer}"));
        format!("y{layer}")
    }

    /// Linear layers of these sizes with `relu` between them.
    fn perceptron(&mut self, sizes: &[usize]) -> String {
        let mut x = "x".to_owned();
        for (layer, pair) in sizes.windows(2).enumerate() {
            if layer > 0 {
                self.line(&format!("a{layer} = relu {x}"));
                x = format!("a{layer}");
            }
            x = self.linear(&x, pair[0], pair[1], layer + 1);
        }
        x
    }

    /// A convolution, `relu` and pooling; the result is the value `p` of the layer's number.
    fn convolve(&mut self, x: &str, inputs: usize, outputs: usize, layer: usize) {
        let weight = format!("{outputs}, {inputs}, 3, 3");
        self.parameters(layer, &weight, inputs * 9, outputs);
        self.line(&format!(
            "c{layer} = conv2d {x}, w{layer}, b{layer} {{stride=[1, 1], padding=[1, 1], \
             dilation=[1, 1], groups=1}}"
        ));
        self.line(&format!("a{layer} = relu c{layer}"));
        self.line(&format!(
            "p{layer}, at{layer} = max_pool2d a{layer} {{kernel=[2, 2], stride=[2, 2], \
             padding=[0, 0], dilation=[1, 1], ceil_mode=false}}"
        ));
    }

    fn finish(&self, name: &str) -> String {
        format!(
            "syncarp 1\nmodel m0 \"{name}\" {{\n{}}}\ngraph \"train\" {{\n{}}}\n",
            self.states, self.graph
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use syncarp_diag::Source;
    use syncarp_ir::{TRAIN, parse};

    use super::*;

    #[test]
    fn every_family_is_a_model_over_its_sample() {
        let ops = Arc::new(syncarp_ops::standard());
        for (family, states) in [
            (Family::MlpTiny, 6),
            (Family::MlpLarge, 6),
            (Family::Cnn, 6),
        ] {
            let text = family.text();
            let plan = parse(&Source::new(family.name(), text), &ops);
            let plan = plan.unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(plan.states.len(), states, "{}", family.name());
            let graph = plan.graph(TRAIN).unwrap();
            let output = graph.outputs()[0].value;
            assert_eq!(graph.ty(output).to_string(), "f32[n, 10]");
        }
    }
}
