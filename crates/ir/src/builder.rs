//! Making graphs: nodes are checked and typed as they are emitted.

use std::sync::Arc;

use smallvec::SmallVec;
use thiserror::Error;

use crate::attr::{Attr, Attrs};
use crate::entity::{AttrsId, Device, Model, Node, OpId, ProvenanceId, TypeId, Value};
use crate::graph::{Graph, NodeData, Output, OutputKey, ValueData};
use crate::known::{Known, Signature};
use crate::op::{Infer, Types};
use crate::provenance::{Provenance, Role};
use crate::registry::{OpRegistry, check_attrs, check_operands};
use crate::types::{DType, TensorType};

/// The results of an emitted node.
pub type Values = SmallVec<[Value; 2]>;

/// Why a node cannot be emitted. The fault is the caller's: a model's author or a pass.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BuildError {
    /// The op is not registered.
    #[error("no op is called `{op}`")]
    UnknownOp {
        /// The name that was asked for.
        op: String,
    },
    /// Operands or attributes do not fit the op.
    #[error("{op}: {message}")]
    Invalid {
        /// The op's name.
        op: String,
        /// What is wrong and what was expected.
        message: String,
    },
}

/// What every emitted node is marked with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    /// Where it comes from.
    pub provenance: ProvenanceId,
    /// Where it runs.
    pub device: Option<Device>,
}

/// Builds a graph node by node.
pub struct GraphBuilder {
    graph: Graph,
    context: Context,
    known: Known,
}

impl GraphBuilder {
    /// A builder of a new graph, whose nodes belong to model 0 until told otherwise.
    pub fn new(registry: Arc<OpRegistry>) -> Self {
        Self::over(Graph::empty(registry))
    }

    /// A builder that goes on with a graph.
    pub fn over(mut graph: Graph) -> Self {
        let origin = (Model::new(0), "", Role::Forward);
        let provenance = graph.provenance.find_single(origin.0, origin.1, origin.2);
        let provenance = provenance.unwrap_or_else(|| {
            Arc::make_mut(&mut graph.provenance).single(origin.0, origin.1, origin.2)
        });
        let device = None;
        Self::marked(graph, Context { provenance, device })
    }

    /// A builder that goes on with a graph, its nodes marked so until told otherwise.
    pub(crate) fn marked(graph: Graph, context: Context) -> Self {
        let known = Known::default();
        GraphBuilder {
            graph,
            context,
            known,
        }
    }

    /// The graph so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The type of a value so far.
    pub fn ty(&self, value: Value) -> &TensorType {
        self.graph.ty(value)
    }

    /// What nodes are marked with now.
    pub fn context(&self) -> Context {
        self.context
    }

    /// Marks the nodes to come.
    pub fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// Marks the nodes to come as coming from a place in a model.
    pub fn set_origin(&mut self, model: Model, path: &str, role: Role) {
        self.context.provenance =
            Arc::make_mut(&mut self.graph.provenance).single(model, path, role);
    }

    /// The interned provenance, for passes that make sets of their own.
    pub fn provenance_mut(&mut self) -> &mut Provenance {
        Arc::make_mut(&mut self.graph.provenance)
    }

    /// Interns attributes.
    pub fn intern_attrs(&mut self, attrs: Attrs) -> AttrsId {
        AttrsId::new(match self.graph.attrs.get(&attrs) {
            Some(index) => index,
            None => Arc::make_mut(&mut self.graph.attrs).intern(attrs),
        })
    }

    /// Interns a type.
    pub fn intern_type(&mut self, ty: TensorType) -> TypeId {
        TypeId::new(match self.graph.types.get(&ty) {
            Some(index) => index,
            None => Arc::make_mut(&mut self.graph.types).intern(ty),
        })
    }

    /// Emits a node by the op's name.
    ///
    /// # Errors
    /// Where the op is unknown or the node does not type.
    pub fn emit(
        &mut self,
        op: &str,
        operands: &[Value],
        attrs: Attrs,
    ) -> Result<Values, BuildError> {
        let id = self.graph.registry.find(op);
        let id = id.ok_or_else(|| BuildError::UnknownOp { op: op.to_owned() })?;
        self.emit_id(id, operands, attrs, None)
    }

    /// Emits a node of one result by the op's name.
    ///
    /// # Errors
    /// Where the op is unknown or the node does not type.
    ///
    /// # Panics
    /// If the op has no result.
    pub fn emit1(
        &mut self,
        op: &str,
        operands: &[Value],
        attrs: Attrs,
    ) -> Result<Value, BuildError> {
        Ok(self.emit(op, operands, attrs)?[0])
    }

    /// Emits a node; `stated` are types that somebody wrote down, which inference must not
    /// contradict and which hold where inference knows less.
    ///
    /// # Errors
    /// Where the node does not type.
    pub fn emit_id(
        &mut self,
        op: OpId,
        operands: &[Value],
        attrs: Attrs,
        stated: Option<&[TensorType]>,
    ) -> Result<Values, BuildError> {
        let attrs = self.intern_attrs(attrs);
        let stated: Option<SmallVec<[TypeId; 2]>> =
            stated.map(|types| types.iter().map(|t| self.intern_type(t.clone())).collect());
        self.emit_interned(op, attrs, operands, stated.as_deref())
    }

    /// Emits a node of interned parts.
    ///
    /// # Errors
    /// Where the node does not type.
    pub(crate) fn emit_interned(
        &mut self,
        op: OpId,
        attrs: AttrsId,
        operands: &[Value],
        stated: Option<&[TypeId]>,
    ) -> Result<Values, BuildError> {
        let signature = Signature {
            op,
            attrs,
            operands,
            stated,
        };
        let graph = &self.graph;
        if let Some(twin) = self.known.find(graph, &signature) {
            let types: SmallVec<[TypeId; 2]> =
                graph.results(twin).map(|v| graph.type_id(v)).collect();
            return Ok(self.push(op, attrs, operands, &types));
        }
        let types = self.check(op, operands, attrs, stated)?;
        let types: SmallVec<[TypeId; 2]> = types.into_iter().map(|t| self.intern_type(t)).collect();
        let node = Node::new(self.graph.len());
        let values = self.push(op, attrs, operands, &types);
        self.known.remember(&self.graph, &signature, node);
        Ok(values)
    }

    fn check(
        &self,
        op: OpId,
        operands: &[Value],
        attrs: AttrsId,
        stated: Option<&[TypeId]>,
    ) -> Result<Types, BuildError> {
        let graph = &self.graph;
        let (op, attrs) = (graph.registry.op(op), graph.attrs.at(attrs.index()));
        let invalid = |message: String| BuildError::Invalid {
            op: op.name().to_owned(),
            message,
        };
        check_operands(op, operands.len()).map_err(|e| invalid(e.message))?;
        check_attrs(op, attrs).map_err(|e| invalid(e.message))?;
        let types: SmallVec<[&TensorType; 4]> = operands.iter().map(|v| graph.ty(*v)).collect();
        let cx = Infer {
            operands: &types,
            attrs,
        };
        let mut inferred = op.infer(&cx).map_err(|e| invalid(e.message))?;
        if let Some(stated) = stated {
            if stated.len() != inferred.len() {
                let (want, got) = (inferred.len(), stated.len());
                return Err(invalid(format!("has {want} results, {got} are written")));
            }
            for (inferred, stated) in inferred.iter_mut().zip(stated) {
                let stated = graph.types.at(stated.index());
                *inferred = inferred.meet(stated).ok_or_else(|| {
                    invalid(format!("the result is {inferred}, but {stated} is written"))
                })?;
            }
        }
        Ok(inferred)
    }

    /// Appends a node whose types are known to be right.
    pub(crate) fn push(
        &mut self,
        op: OpId,
        attrs: AttrsId,
        operands: &[Value],
        types: &[TypeId],
    ) -> Values {
        let data = NodeData {
            op,
            attrs,
            provenance: self.context.provenance,
            operands: 0,
            results: 0,
            operand_count: u16::try_from(operands.len()).expect("a node has under 2^16 operands"),
            result_count: u16::try_from(types.len()).expect("a node has under 2^16 results"),
            device: self.context.device,
        };
        self.push_same(&data, operands.iter().copied(), types.iter().copied())
    }

    /// Appends a node like another, with other operands, as many, and results of these types.
    pub(crate) fn push_same(
        &mut self,
        like: &NodeData,
        operands: impl ExactSizeIterator<Item = Value>,
        types: impl ExactSizeIterator<Item = TypeId>,
    ) -> Values {
        let graph = &mut self.graph;
        let node = Node::new(graph.nodes.len());
        let first = graph.values.len();
        let count = types.len();
        graph.nodes.push(NodeData {
            operands: u32::try_from(graph.operands.len()).expect("a graph has under 2^32 edges"),
            results: u32::try_from(first).expect("a graph has under 2^32 values"),
            ..*like
        });
        graph.operands.extend(operands);
        graph
            .values
            .extend(types.map(|ty| ValueData { ty, def: node }));
        let mut values = Values::new();
        for index in first..first + count {
            values.push(Value::new(index));
        }
        values
    }

    pub(crate) fn set_device(&mut self, node: Node, device: Option<Device>) {
        self.graph.nodes[node.index()].device = device;
    }

    /// Emits a scalar constant.
    ///
    /// # Errors
    /// Where the dtype cannot hold it.
    pub fn constant(&mut self, dtype: DType, value: impl Into<Attr>) -> Result<Value, BuildError> {
        self.emit1(
            "constant",
            &[],
            Attrs::new().with("dtype", dtype).with("value", value),
        )
    }

    /// Names a value that the graph gives back.
    pub fn output(&mut self, key: OutputKey, value: Value) {
        self.graph.outputs.push(Output { key, value });
    }

    /// The finished graph.
    pub fn finish(self) -> Graph {
        self.graph
    }
}
