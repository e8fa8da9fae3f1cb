//! Parses a plan. Every error names a line and a column and says what was expected.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use syncarp_diag::{Located, Source};

use super::lexer::{Lexer, Token};
use crate::attr::{Attr, Attrs};
use crate::builder::{Context, GraphBuilder};
use crate::core_ops::STATE;
use crate::dim::Dim;
use crate::entity::{Data, Device, Model, State, Value};
use crate::graph::OutputKey;
use crate::op::OpRegistry;
use crate::plan::{ContentHash, Initial, ModelEntry, Plan, StateEntry, StateKind};
use crate::provenance::{Origin, Role};
use crate::stream::{Distribution, StreamKey};
use crate::types::{DType, Shape, TensorType};

type Result<T> = std::result::Result<T, Located>;

/// How deep parentheses in dims may nest.
const MAX_NESTING: usize = 16;
/// How many entries an id may skip over: ids in a text are dense up to order.
const MAX_ID: u64 = 100_000_000;

/// Reads a plan.
///
/// # Errors
/// The first mistake, with its place: of spelling, of types, or of ids that lead nowhere.
pub fn parse(source: &Source, registry: &Arc<OpRegistry>) -> Result<Plan> {
    let mut lexer = Lexer::new(source);
    let (token, span) = lexer.next()?;
    let mut parser = Parser {
        source,
        lexer,
        token,
        span,
        registry: registry.clone(),
    };
    parser.plan()
}

struct Parser<'a> {
    source: &'a Source,
    lexer: Lexer<'a>,
    token: Token<'a>,
    span: Range<usize>,
    registry: Arc<OpRegistry>,
}

impl<'a> Parser<'a> {
    fn error<T>(&self, span: Range<usize>, message: impl Into<String>) -> Result<T> {
        Err(Located::new(self.source, span, message))
    }

    fn expected<T>(&self, what: &str) -> Result<T> {
        self.error(
            self.span.clone(),
            format!("expected {what}, found {}", self.token.describe()),
        )
    }

    fn advance(&mut self) -> Result<(Token<'a>, Range<usize>)> {
        let (token, span) = self.lexer.next()?;
        let old = std::mem::replace(&mut self.token, token);
        Ok((old, std::mem::replace(&mut self.span, span)))
    }

    fn is(&self, punct: &str) -> bool {
        matches!(self.token, Token::Punct(p) if p == punct)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.token, Token::Word(w) if w == word)
    }

    fn eat(&mut self, punct: &str) -> Result<bool> {
        let found = self.is(punct);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, punct: &str) -> Result<()> {
        if self.eat(punct)? {
            Ok(())
        } else {
            self.expected(&format!("`{punct}`"))
        }
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.is_word(word) {
            self.advance()?;
            return Ok(());
        }
        self.expected(&format!("`{word}`"))
    }

    fn word(&mut self, what: &str) -> Result<(&'a str, Range<usize>)> {
        match self.token {
            Token::Word(w) => {
                let (_, span) = self.advance()?;
                Ok((w, span))
            }
            _ => self.expected(what),
        }
    }

    fn string(&mut self, what: &str) -> Result<Arc<str>> {
        match self.advance()? {
            (Token::Str(s), _) => Ok(s.into()),
            (token, span) => {
                self.error(span, format!("expected {what}, found {}", token.describe()))
            }
        }
    }

    fn int(&mut self, what: &str) -> Result<u64> {
        match self.token {
            Token::Int(v) => {
                self.advance()?;
                Ok(v)
            }
            _ => self.expected(what),
        }
    }

    /// The number of an id such as `m3`.
    fn id_of(word: &str, prefix: &str) -> Option<usize> {
        let digits = word.strip_prefix(prefix)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits
            .parse::<u64>()
            .ok()
            .filter(|v| *v < MAX_ID)
            .map(|v| v as usize)
    }

    fn id(&mut self, prefix: &str, what: &str) -> Result<(usize, Range<usize>)> {
        if let Token::Word(w) = self.token
            && let Some(index) = Self::id_of(w, prefix)
        {
            let (_, span) = self.advance()?;
            return Ok((index, span));
        }
        self.expected(&format!("{what} such as {prefix}0"))
    }

    fn model(&mut self, plan: &Plan) -> Result<Model> {
        let (index, span) = self.id(Model::PREFIX, "a model")?;
        if index >= plan.models.len() {
            return self.error(span, format!("there is no model m{index}"));
        }
        Ok(Model::new(index))
    }

    fn state(&mut self, plan: &Plan) -> Result<State> {
        let (index, span) = self.id(State::PREFIX, "a state")?;
        if index >= plan.states.len() {
            return self.error(span, format!("there is no state s{index}"));
        }
        Ok(State::new(index))
    }

    fn plan(&mut self) -> Result<Plan> {
        self.expect_word("syncarp")?;
        let span = self.span.clone();
        if self.int("the version of the text form, 1")? != 1 {
            return self.error(span, "this program reads version 1 of the text form");
        }
        let mut plan = Plan::default();
        let mut states: Vec<Option<StateEntry>> = Vec::new();
        let mut mentions: Vec<(usize, Range<usize>)> = Vec::new();
        while self.is_word("model") {
            self.model_entry(&mut plan, &mut states, &mut mentions)?;
        }
        for (index, span) in mentions {
            if states.get(index).is_none_or(Option::is_none) {
                return self.error(span, format!("state s{index} is never given a type"));
            }
        }
        for (index, state) in states.into_iter().enumerate() {
            match state {
                Some(state) => plan.states.push(state),
                None => {
                    let span = self.span.clone();
                    return self.error(span, format!("no model has state s{index}; ids are dense"));
                }
            }
        }
        while !matches!(self.token, Token::End) {
            if !self.is_word("graph") {
                return self.expected("`graph` or the end of the text");
            }
            self.graph(&mut plan)?;
        }
        Ok(plan)
    }

    fn model_entry(
        &mut self,
        plan: &mut Plan,
        states: &mut Vec<Option<StateEntry>>,
        mentions: &mut Vec<(usize, Range<usize>)>,
    ) -> Result<()> {
        self.advance()?;
        let (index, span) = self.id(Model::PREFIX, "a model")?;
        let next = plan.models.len();
        if index != next {
            return self.error(
                span,
                format!("models are numbered in order: expected m{next}"),
            );
        }
        let name = self.string("the model's name in quotes")?;
        let mut entry = ModelEntry {
            name,
            data: None,
            states: Vec::new(),
        };
        if self.is_word("data") {
            self.advance()?;
            entry.data = Some(Data::new(self.id(Data::PREFIX, "a data stream")?.0));
        }
        self.expect("{")?;
        while !self.eat("}")? {
            let path = self.string("a state's path in quotes, or `}`")?;
            self.expect("=")?;
            let (state, span) = self.id(State::PREFIX, "a state")?;
            if state >= self.source.text.len() {
                return self.error(span, "state ids are dense; this one is far too large");
            }
            entry.states.push((path, State::new(state)));
            if self.eat(":")? {
                let declared = self.state_entry(Model::new(index))?;
                if states.len() <= state {
                    states.resize(state + 1, None);
                }
                if states[state].replace(declared).is_some() {
                    return self.error(span, format!("state s{state} is declared twice"));
                }
            } else {
                mentions.push((state, span));
            }
        }
        plan.models.push(entry);
        Ok(())
    }

    fn state_entry(&mut self, model: Model) -> Result<StateEntry> {
        let ty = self.ty()?;
        let kinds: Vec<_> = StateKind::ALL.iter().map(|k| k.name()).collect();
        let kinds = format!("one of {}", kinds.join(", "));
        let (word, span) = self.word(&kinds)?;
        let Some(kind) = StateKind::from_name(word) else {
            return self.error(span, format!("expected {kinds}, found `{word}`"));
        };
        let (word, span) = self.word("`init` or `content`")?;
        self.expect("(")?;
        let initial = match word {
            "init" => {
                let distribution = self.distribution()?;
                self.expect(",")?;
                self.expect_word("stream")?;
                Initial::Init(distribution, self.stream()?)
            }
            "content" => Initial::Content(ContentHash(self.string("a content hash in quotes")?)),
            _ => {
                return self.error(
                    span,
                    format!("expected `init` or `content`, found `{word}`"),
                );
            }
        };
        self.expect(")")?;
        let owner = (kind != StateKind::Frozen).then_some(model);
        Ok(StateEntry {
            ty,
            kind,
            owner,
            initial,
        })
    }

    fn distribution(&mut self) -> Result<Distribution> {
        let (name, span) = self.word("a distribution")?;
        self.expect("(")?;
        let mut numbers = Vec::new();
        while !self.is(")") {
            if !numbers.is_empty() {
                self.expect(",")?;
            }
            numbers.push(self.float()?);
            if numbers.len() > 2 {
                break;
            }
        }
        self.expect(")")?;
        match (name, numbers.as_slice()) {
            ("constant", [a]) => Ok(Distribution::Constant(*a)),
            ("uniform", [a, b]) => Ok(Distribution::Uniform(*a, *b)),
            ("normal", [a, b]) => Ok(Distribution::Normal(*a, *b)),
            _ => self.error(
                span,
                "expected constant(value), uniform(low, high) or normal(mean, deviation)",
            ),
        }
    }

    /// `stream` was read; its arguments follow.
    fn stream(&mut self) -> Result<StreamKey> {
        self.expect("(")?;
        let seed = if self.is_word("_") {
            self.advance()?;
            None
        } else {
            Some(self.int("a seed, or _ for the evaluator's")?)
        };
        self.expect(",")?;
        let path = self.string("the stream's path in quotes")?;
        self.expect(",")?;
        let span = self.span.clone();
        let occurrence = self.int("the occurrence")?;
        let Ok(occurrence) = u32::try_from(occurrence) else {
            return self.error(span, "an occurrence has 32 bits");
        };
        self.expect(")")?;
        Ok(StreamKey {
            seed,
            path,
            occurrence,
        })
    }

    fn graph(&mut self, plan: &mut Plan) -> Result<()> {
        self.advance()?;
        let span = self.span.clone();
        let name = self.string("the graph's name in quotes")?;
        if plan.graph(&name).is_some() {
            return self.error(span, format!("there are two graphs {name:?}"));
        }
        self.expect("{")?;
        let mut builder = GraphBuilder::new(self.registry.clone());
        let default = builder.context();
        let mut names: FxHashMap<&'a str, Value> = FxHashMap::default();
        let mut ended = false;
        while !self.eat("}")? {
            let (first, span) = self.word("a node, an output or `}`")?;
            let named = self.is("=") || self.is(",");
            let key = match first {
                _ if named => None,
                "result" => {
                    let model = self.model(plan)?;
                    Some(OutputKey::Result(
                        model,
                        self.string("the result's name in quotes")?,
                    ))
                }
                "loss" => Some(OutputKey::Loss(self.model(plan)?)),
                "metric" => {
                    let model = self.model(plan)?;
                    Some(OutputKey::Metric(
                        model,
                        self.string("the metric's name in quotes")?,
                    ))
                }
                "update" => Some(OutputKey::Update(self.state(plan)?)),
                _ => None,
            };
            if let Some(key) = key {
                self.expect("=")?;
                let (word, span) = self.word("a value")?;
                let Some(value) = names.get(word) else {
                    return self.error(span, format!("no value is called `{word}`"));
                };
                builder.output(key, *value);
                ended = true;
                continue;
            }
            if ended {
                return self.error(span, "nodes come before outputs");
            }
            builder.set_context(default);
            self.node(plan, &mut builder, &mut names, (first, span))?;
        }
        plan.graphs.push((name, builder.finish()));
        Ok(())
    }

    fn node(
        &mut self,
        plan: &Plan,
        builder: &mut GraphBuilder,
        names: &mut FxHashMap<&'a str, Value>,
        first: (&'a str, Range<usize>),
    ) -> Result<()> {
        let mut results = Vec::new();
        let mut op = first;
        if self.is(",") || self.is("=") {
            results.push(op);
            while self.eat(",")? {
                results.push(self.word("a name for a result")?);
            }
            self.expect("=")?;
            op = self.word("an op")?;
        }
        let (op, op_span) = op;
        let Some(id) = self.registry.find(op) else {
            let near = nearest(op, self.registry.iter().map(|(_, op)| op.name()));
            let error = Located::new(self.source, op_span, format!("no op is called `{op}`"));
            return Err(match near {
                Some(near) => error.with_help(format!("did you mean `{near}`?")),
                None => error,
            });
        };
        let mut operands = Vec::new();
        while let Token::Word(word) = self.token {
            if operands.is_empty() && word == "on" && !names.contains_key("on") {
                break;
            }
            let Some(value) = names.get(word) else {
                let span = self.span.clone();
                return self.error(span, format!("no value is called `{word}` before here"));
            };
            operands.push(*value);
            self.advance()?;
            if !self.eat(",")? {
                break;
            }
        }
        let attrs = if self.is("{") {
            self.attrs(plan)?
        } else {
            Attrs::new()
        };
        let mut stated: Option<Vec<TensorType>> = None;
        if self.eat(":")? {
            let types = stated.insert(vec![self.ty()?]);
            while self.eat(",")? {
                types.push(self.ty()?);
            }
        }
        if op == STATE
            && let Some(state) = attrs.state("of")
        {
            let ty = &plan.state(state).ty;
            let stated = stated.get_or_insert_with(|| vec![ty.clone()]);
            if stated[0].meet(ty).is_none() {
                return self.error(op_span, format!("{state} is {ty}, not {}", stated[0]));
            }
            stated[0] = ty.clone();
        }
        self.placement(plan, builder)?;
        let values = match builder.emit_id(id, &operands, attrs, stated.as_deref()) {
            Ok(values) => values,
            Err(error) => return self.error(op_span, error.to_string()),
        };
        if values.len() != results.len() {
            let (want, got) = (values.len(), results.len());
            return self.error(
                op_span,
                format!("`{op}` has {want} results, {got} are named"),
            );
        }
        for ((name, span), value) in results.into_iter().zip(values) {
            if names.insert(name, value).is_some() {
                return self.error(span, format!("two values are called `{name}`"));
            }
        }
        Ok(())
    }

    /// The device and the provenance of a node, where they are written.
    fn placement(&mut self, plan: &Plan, builder: &mut GraphBuilder) -> Result<()> {
        let mut context: Context = builder.context();
        if self.is_word("on") {
            self.advance()?;
            let (index, _) = self.id(Device::PREFIX, "a device")?;
            context.device = Some(Device::new(index));
        }
        if self.eat("@")? {
            let mut set = Vec::new();
            loop {
                let model = self.model(plan)?;
                let path = if matches!(self.token, Token::Str(_)) {
                    self.string("")?
                } else {
                    "".into()
                };
                let mut role = Role::Forward;
                if self.eat("(")? {
                    let (word, span) = self.word("a role")?;
                    let Some(known) = Role::from_name(word) else {
                        let names: Vec<_> = Role::ALL.iter().map(|r| r.name()).collect();
                        let names = names.join(", ");
                        return self.error(span, format!("expected a role, one of {names}"));
                    };
                    role = known;
                    self.expect(")")?;
                }
                let path = builder.provenance_mut().intern_path(&path);
                set.push(Origin { model, path, role });
                if !self.eat(",")? {
                    break;
                }
            }
            set.sort_unstable();
            set.dedup();
            context.provenance = builder.provenance_mut().intern_sorted(&set);
        }
        builder.set_context(context);
        Ok(())
    }

    fn attrs(&mut self, plan: &Plan) -> Result<Attrs> {
        self.expect("{")?;
        let mut attrs = Attrs::new();
        while !self.is("}") {
            if !attrs.is_empty() {
                self.expect(",")?;
            }
            let (name, span) = self.word("an attribute's name")?;
            self.expect("=")?;
            if attrs.get(name).is_some() {
                return self.error(span, format!("attribute `{name}` is given twice"));
            }
            let value = self.attr(plan)?;
            attrs.set(name, value);
        }
        self.expect("}")?;
        Ok(attrs)
    }

    fn attr(&mut self, plan: &Plan) -> Result<Attr> {
        const WHAT: &str = "an attribute's value: a number, true, false, a string, a dtype, a \
                            list, dims[...], stream(...), a state or a model";
        match self.token.clone() {
            Token::Str(_) => Ok(Attr::Str(self.string("")?)),
            Token::Punct("[") => self.list(),
            Token::Int(_) | Token::Float(_) | Token::Punct("-") | Token::Word("inf" | "nan") => {
                self.number()
            }
            Token::Word(word) => {
                if let Some(index) = Self::id_of(word, Model::PREFIX) {
                    if index < plan.models.len() {
                        self.advance()?;
                        return Ok(Attr::Model(Model::new(index)));
                    }
                    return self.expected("a model of this plan");
                }
                if Self::id_of(word, State::PREFIX).is_some() {
                    return Ok(Attr::State(self.state(plan)?));
                }
                if let Some(dtype) = DType::from_name(word) {
                    self.advance()?;
                    return Ok(Attr::DType(dtype));
                }
                match word {
                    "true" | "false" => {
                        self.advance()?;
                        Ok(Attr::Bool(word == "true"))
                    }
                    "stream" => {
                        self.advance()?;
                        Ok(Attr::Stream(self.stream()?))
                    }
                    "dims" => {
                        self.advance()?;
                        let dims = self.dims()?;
                        Ok(Attr::Dims(dims.into_iter().collect()))
                    }
                    "floats" | "strs" => {
                        self.advance()?;
                        self.expect("[")?;
                        self.expect("]")?;
                        Ok(if word == "floats" {
                            Attr::Floats([].into())
                        } else {
                            Attr::Strs([].into())
                        })
                    }
                    _ => self.expected(WHAT),
                }
            }
            _ => self.expected(WHAT),
        }
    }

    fn number(&mut self) -> Result<Attr> {
        let negative = self.eat("-")?;
        let sign = if negative { -1.0 } else { 1.0 };
        match self.token {
            Token::Int(v) => {
                let value = i128::from(v) * if negative { -1 } else { 1 };
                let Ok(value) = i64::try_from(value) else {
                    return self.expected("an integer of 64 bits");
                };
                self.advance()?;
                Ok(Attr::Int(value))
            }
            Token::Float(v) => {
                self.advance()?;
                Ok(Attr::Float(sign * v))
            }
            Token::Word("inf") => {
                self.advance()?;
                Ok(Attr::Float(sign * f64::INFINITY))
            }
            Token::Word("nan") if !negative => {
                self.advance()?;
                if self.eat("(")? {
                    let bits = self.int("the bits of the NaN")?;
                    self.expect(")")?;
                    return Ok(Attr::Float(f64::from_bits(bits)));
                }
                Ok(Attr::Float(f64::NAN))
            }
            _ => self.expected("a number"),
        }
    }

    fn float(&mut self) -> Result<f64> {
        Ok(match self.number()? {
            Attr::Int(v) => v as f64,
            Attr::Float(v) => v,
            _ => unreachable!("`number` reads ints and floats"),
        })
    }

    fn list(&mut self) -> Result<Attr> {
        self.expect("[")?;
        let mut ints = Vec::new();
        let mut floats = Vec::new();
        let mut all_ints = true;
        let mut strs: Vec<Arc<str>> = Vec::new();
        while !self.is("]") {
            if !floats.is_empty() || !strs.is_empty() {
                self.expect(",")?;
            }
            if matches!(self.token, Token::Str(_)) && floats.is_empty() {
                strs.push(self.string("")?);
                continue;
            }
            if !strs.is_empty() {
                return self.expected("a string, like the others in this list");
            }
            match self.number()? {
                Attr::Int(v) => {
                    ints.push(v);
                    floats.push(v as f64);
                }
                Attr::Float(v) => {
                    all_ints = false;
                    floats.push(v);
                }
                _ => unreachable!("`number` reads ints and floats"),
            }
        }
        self.expect("]")?;
        Ok(if !strs.is_empty() {
            Attr::Strs(strs.into())
        } else if all_ints {
            Attr::Ints(ints.into())
        } else {
            Attr::Floats(floats.into())
        })
    }

    fn ty(&mut self) -> Result<TensorType> {
        let dtype = if self.eat("?")? {
            None
        } else {
            let (word, span) = self.word("a type such as f32[n, 10]")?;
            let Some(dtype) = DType::from_name(word) else {
                return self.error(span, format!("no dtype is called `{word}`"));
            };
            Some(dtype)
        };
        if !self.is("[") {
            return self.expected("`[` and a shape");
        }
        let (_, span) = self.advance()?;
        if self.eat("*")? {
            self.expect("]")?;
            return Ok(TensorType { dtype, shape: None });
        }
        let shape = self.dims_until_bracket(span)?;
        Ok(TensorType {
            dtype,
            shape: Some(shape),
        })
    }

    fn dims(&mut self) -> Result<Shape> {
        let span = self.span.clone();
        self.expect("[")?;
        self.dims_until_bracket(span)
    }

    fn dims_until_bracket(&mut self, open: Range<usize>) -> Result<Shape> {
        let mut shape = Shape::new();
        while !self.is("]") {
            if !shape.is_empty() {
                self.expect(",")?;
            }
            shape.push(self.dim(0)?);
            if shape.len() > 64 {
                return self.error(open, "a shape has at most 64 dims");
            }
        }
        self.expect("]")?;
        Ok(shape)
    }

    fn dim(&mut self, depth: usize) -> Result<Dim> {
        let start = self.span.start;
        let negative = self.eat("-")?;
        let mut sum = self.dim_product(depth)?;
        if negative {
            sum = self.dim_result(Dim::Known(0).minus(&sum), start)?;
        }
        loop {
            sum = if self.eat("+")? {
                let other = self.dim_product(depth)?;
                self.dim_result(sum.plus(&other), start)?
            } else if self.eat("-")? {
                let other = self.dim_product(depth)?;
                self.dim_result(sum.minus(&other), start)?
            } else {
                return Ok(sum);
            };
        }
    }

    fn dim_product(&mut self, depth: usize) -> Result<Dim> {
        let start = self.span.start;
        let mut product = self.dim_atom(depth)?;
        loop {
            product = if self.eat("*")? {
                let other = self.dim_atom(depth)?;
                self.dim_result(product.times(&other), start)?
            } else if self.eat("//")? {
                let other = self.dim_atom(depth)?;
                self.dim_result(product.floor_div(&other), start)?
            } else {
                return Ok(product);
            };
        }
    }

    fn dim_atom(&mut self, depth: usize) -> Result<Dim> {
        if depth > MAX_NESTING {
            return self.error(self.span.clone(), "parentheses nest too deep");
        }
        match self.token {
            Token::Int(v) => {
                self.advance()?;
                Ok(Dim::Known(v))
            }
            Token::Word(name) => {
                self.advance()?;
                Ok(Dim::symbol(name))
            }
            Token::Punct("(") => {
                self.advance()?;
                let dim = self.dim(depth + 1)?;
                self.expect(")")?;
                Ok(dim)
            }
            _ => self.expected("a dim: a number, a symbol or an expression"),
        }
    }

    fn dim_result(&self, dim: Option<Dim>, start: usize) -> Result<Dim> {
        match dim {
            Some(dim) => Ok(dim),
            None => self.error(start..self.span.start, "this dim has no value"),
        }
    }
}

/// The known name closest to a misspelt one, if one is close.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let close = known.map(|k| (distance(name, k), k));
    let best = close.min_by_key(|(d, k)| (*d, *k))?;
    (best.0 * 3 <= name.len().max(3)).then_some(best.1)
}

/// Levenshtein's edit distance, over bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let best = (diagonal + usize::from(x != y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}
