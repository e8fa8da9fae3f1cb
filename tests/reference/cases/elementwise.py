"""Arithmetic, comparisons and functions of single elements."""

import torch

from corpus import floats

BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "pow": torch.pow,
    "atan2": torch.atan2,
}

COMPARE = {
    "eq": torch.eq,
    "ne": torch.ne,
    "lt": torch.lt,
    "le": torch.le,
    "gt": torch.gt,
    "ge": torch.ge,
}

# Function, bounds of its operand.
UNARY = {
    "copy": (torch.clone, -2, 2),
    "neg": (torch.neg, -2, 2),
    "exp": (torch.exp, -3, 3),
    "expm1": (torch.expm1, -3, 3),
    "log": (torch.log, 0.125, 8.125),
    "log1p": (torch.log1p, -0.875, 7.125),
    "sqrt": (torch.sqrt, 0.125, 8.125),
    "rsqrt": (torch.rsqrt, 0.125, 8.125),
    "reciprocal": (torch.reciprocal, -4, 4),
    "abs": (torch.abs, -2, 2),
    "square": (torch.square, -2, 2),
    "sin": (torch.sin, -8, 8),
    "cos": (torch.cos, -8, 8),
    "tanh": (torch.tanh, -4, 4),
    "sigmoid": (torch.sigmoid, -8, 8),
    "relu": (torch.relu, -2, 2),
    "erf": (torch.erf, -4, 4),
    "tan": (torch.tan, -1.25, 1.25),
    "asin": (torch.asin, -0.875, 0.875),
    "acos": (torch.acos, -0.875, 0.875),
    "atan": (torch.atan, -4, 4),
    "sinh": (torch.sinh, -3, 3),
    "cosh": (torch.cosh, -3, 3),
    "asinh": (torch.asinh, -4, 4),
    "acosh": (torch.acosh, 1.125, 5.125),
    "atanh": (torch.atanh, -0.875, 0.875),
}

CONSTANT = {
    "sign": torch.sign,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
    "trunc": torch.trunc,
}

# What the dims of the operands are, and how the text writes them.
BROADCAST = [
    ("same dims", (2, 3), (2, 3), {}),
    ("the right one grows", (4, 3), (3,), {"a": "n, 3"}),
    ("the left one grows", (1,), (2, 5), {"b": "n, 5"}),
    ("both grow", (2, 1, 3), (4, 1), {}),
    ("a scalar", (), (3, 2), {"b": "n, 2"}),
    ("a symbolic dim meets one", (3, 1, 2), (1, 4, 2), {"a": "n, 1, 2"}),
    ("one element", (1, 1), (1,), {}),
    ("odd sizes", (7, 1, 3), (7, 5, 3), {"a": "n, 1, 3", "b": "n, 5, 3"}),
]


def record(corpus):
    binary(corpus)
    compare(corpus)
    select(corpus)
    unary(corpus)
    cast(corpus)
    modulo(corpus)
    classify(corpus)
    narrow(corpus)
    bitwise(corpus)


def binary(corpus):
    for op, function in BINARY.items():
        for what, left, right, dims in BROADCAST:
            draw = corpus.draw(op, what)
            inputs = {
                "a": draw.positive(*left) if op == "pow" else draw.floats(*left),
                "b": draw.floats(*right, low=-1.75, high=2.25),
            }
            call = lambda a, b: function(a, b)
            corpus.add(op, what, f"y = {op} a, b", inputs, call, dims=dims)
        draw = corpus.draw(op, "one operand twice")
        x = draw.positive(4, 3)
        if op not in ("maximum", "minimum"):
            call = lambda a: function(a, a)
            corpus.add(op, "one operand twice", f"y = {op} a, a", {"a": x}, call)
    for op in ("add", "sub", "mul", "maximum", "minimum"):
        draw = corpus.draw(op, "integers")
        inputs = {"a": draw.ints(9, 2, 3) - 4, "b": draw.ints(9, 3) - 4}
        call = lambda a, b: BINARY[op](a, b)
        corpus.add(op, "integers", f"y = {op} a, b", inputs, call)
    inputs = {"a": torch.tensor([7, -7, 7, -7, 0]), "b": torch.tensor([2, 2, -2, -2, 3])}
    call = lambda a, b: torch.div(a, b, rounding_mode="trunc")
    corpus.add("div", "integers", "y = div a, b", inputs, call)
    tied = {"a": floats([1.0, -2.0, 0.0, 3.0, -1.5]), "b": floats([1.0, -2.0, 0.0, 2.0, 4.0])}
    for op in ("maximum", "minimum"):
        call = lambda a, b: BINARY[op](a, b)
        corpus.add(op, "ties", f"y = {op} a, b", tied, call, kinks=True)
        wide = {"a": floats([[1.0, 1.0], [0.5, 2.0]]), "b": floats([1.0])}
        corpus.add(op, "ties, broadcast", f"y = {op} a, b", wide, call, kinks=True)
        nan = {"a": floats([float("nan"), 1.0]), "b": floats([1.0, float("nan")])}
        corpus.add(op, "not a number", f"y = {op} a, b", nan, call, fixed=("a", "b"))
    powers = {
        "a": floats([0.0, 0.0, 0.0, 0.0, 2.0, -1.5, 1.0]),
        "b": floats([0.0, 1.0, 2.0, 0.5, 0.0, 0.0, 3.0]),
    }
    corpus.add("pow", "zeros", "y = pow a, b", powers, torch.pow, fixed=("b",), kinks=True)
    corpus.add("pow", "zero bases", "y = pow a, b", {
        "a": floats([0.0, 0.0, 2.0]), "b": floats([1.0, 2.0, 0.0]),
    }, torch.pow, kinks=True)
    negative = {
        "a": floats([-1.5, -2.0, -0.5, -3.0]), "b": floats([2.0, 3.0, -1.0, 1.0]),
    }
    what = "negative bases, whole exponents"
    corpus.add("pow", what, "y = pow a, b", negative, torch.pow, fixed=("b",))


def compare(corpus):
    for op, function in COMPARE.items():
        call = lambda a, b: function(a, b)
        nan = float("nan")
        inputs = {
            "a": floats([[1.0, 2.0, nan], [-1.0, 0.0, nan]]), "b": floats([1.0, 1.5, nan]),
        }
        corpus.add(op, "floats", f"y = {op} a, b", inputs, call, fixed=("a", "b"))
        draw = corpus.draw(op, "integers")
        inputs = {"a": draw.ints(3, 4, 1), "b": draw.ints(3, 5)}
        dims = {"a": "n, 1"}
        corpus.add(op, "integers", f"y = {op} a, b", inputs, call, dims=dims)
    for op, function in (("logical_and", torch.logical_and), ("logical_or", torch.logical_or)):
        call = lambda a, b: function(a, b)
        inputs = {"a": torch.tensor([[True], [False]]), "b": torch.tensor([True, False])}
        corpus.add(op, "broadcast", f"y = {op} a, b", inputs, call)
    inputs = {"a": torch.tensor([[True, False], [False, False]])}
    corpus.add("logical_not", "a matrix", "y = logical_not a", inputs, lambda a: ~a)


def select(corpus):
    shapes = [
        ("same dims", (3, 2), (3, 2), (3, 2)),
        ("all grow", (3, 1), (1, 2), ()),
        ("the condition grows", (2,), (4, 2), (4, 1)),
        ("the condition is larger", (2, 3, 1), (3, 1), (4,)),
    ]
    for what, condition, left, right in shapes:
        draw = corpus.draw("where", what)
        inputs = {"c": draw.bools(*condition), "a": draw.floats(*left), "b": draw.floats(*right)}
        corpus.add("where", what, "y = where c, a, b", inputs, lambda c, a, b: torch.where(c, a, b))
    draw = corpus.draw("where", "integers")
    inputs = {"c": draw.bools(5), "a": draw.ints(9, 5), "b": draw.ints(9, 1)}
    call = lambda c, a, b: torch.where(c, a, b)
    corpus.add("where", "integers", "y = where c, a, b", inputs, call)


def unary(corpus):
    for op, (function, low, high) in UNARY.items():
        call = lambda x: function(x)
        for what, shape, dims in (
            ("a scalar", (), None),
            ("a matrix", (5, 3), {"x": "n, 3"}),
            ("many", (67,), None),
        ):
            x = corpus.draw(op, what).floats(*shape, low=low, high=high)
            corpus.add(op, what, f"y = {op} x", {"x": x}, call, dims=dims)
    corners = {
        "abs": ([0.0, -1.0, 1.0], torch.abs, True),
        "relu": ([0.0, -1.0, 1.0, -1000.0, 1000.0], torch.relu, True),
        "sigmoid": ([-800.0, -40.0, 0.0, 40.0, 800.0], torch.sigmoid, False),
        "tanh": ([-800.0, -20.0, 0.0, 20.0, 800.0], torch.tanh, False),
        "erf": ([-30.0, -6.0, 0.0, 6.0, 30.0], torch.erf, False),
        "exp": ([-800.0, -80.0, 0.0, 20.0], torch.exp, False),
        "expm1": ([-800.0, -1e-6, 0.0, 1e-6], torch.expm1, False),
        "log1p": ([-1e-6, 0.0, 1e-6], torch.log1p, False),
        "square": ([0.0, -1024.0, 1e-3], torch.square, False),
    }
    for op, (values, function, kinks) in corners.items():
        call = lambda x: function(x)
        corpus.add(op, "corners", f"y = {op} x", {"x": floats(values)}, call, kinks=kinks)
    values = [-2.5, -1.5, -0.5, 0.0, 0.5, 1.5, 2.5, 2.25, -2.75, 1e9]
    for op, function in CONSTANT.items():
        call = lambda x: function(x)
        corpus.add(op, "halves", f"y = {op} x", {"x": floats(values)}, call, fixed=("x",))
        # The gradient of a step is zero: it must stop there and leave the other way alone.
        x = corpus.draw(op, "on the way").floats(4, 2)
        both = lambda x: function(x) * x
        graph = f"t = {op} x\ny = mul t, x"
        corpus.add(op, "on the way", graph, {"x": x}, both)
    for op in ("neg", "abs", "sign", "square", "copy"):
        function = UNARY[op][0] if op in UNARY else CONSTANT[op]
        call = lambda x: function(x)
        x = torch.tensor([[-3, 0, 4], [7, -1, 2]])
        corpus.add(op, "integers", f"y = {op} x", {"x": x}, call)
    moved = {"x": corpus.draw("to_device", "a matrix").floats(3, 2)}
    corpus.add("to_device", "a matrix", "y = to_device x {to=0}", moved, torch.clone,
               dims={"x": "n, 2"})
    # Finite differences do not see that a gradient stops.
    stopped = {"x": corpus.draw("stop_gradient", "on the way").floats(3, 2)}
    corpus.add("stop_gradient", "on the way", "t = stop_gradient x\ny = mul t, x", stopped,
               lambda x: x.detach() * x, dims={"x": "n, 2"}, kinks=True)
    copied = {"x": torch.tensor([True, False, True])}
    corpus.add("copy", "truth values", "y = copy x", copied, torch.clone)


def cast(corpus):
    x = floats([-2.75, -0.5, 0.0, 0.5, 1.5, 2.999, 7.0])
    to = lambda dtype: lambda x: x.to(dtype)
    corpus.add("cast", "floats to integers", "y = cast x {to=i64}", {"x": x}, to(torch.int64),
               fixed=("x",))
    corpus.add("cast", "floats to truth values", "y = cast x {to=bool}", {"x": x}, to(torch.bool),
               fixed=("x",))
    whole = torch.tensor([[-3, 0], [4, 1]])
    corpus.add("cast", "integers to floats", "y = cast x {to=f64}", {"x": whole},
               to(torch.float64))
    corpus.add("cast", "integers to truth values", "y = cast x {to=bool}", {"x": whole},
               to(torch.bool))
    truth = torch.tensor([True, False])
    corpus.add("cast", "truth values to floats", "y = cast x {to=f64}", {"x": truth},
               to(torch.float64))
    corpus.add("cast", "truth values to integers", "y = cast x {to=i64}", {"x": truth},
               to(torch.int64))
    draw = corpus.draw("cast", "between floats")
    graph = "t = cast x {to=f32}\ny = cast t {to=f64}"
    call = lambda x: x.to(torch.float32).to(torch.float64)
    corpus.add("cast", "between floats", graph, {"x": draw.floats(4, 2)}, call, dims={"x": "n, 2"})
    draw = corpus.draw("cast", "a mask")
    graph = "z = constant {dtype=f64, value=0.0}\nc = gt x, z\nm = cast c {to=f64}\ny = mul x, m"
    corpus.add("cast", "a mask", graph, {"x": draw.floats(3, 3)}, lambda x: x * (x > 0).double())


def modulo(corpus):
    for op, function in (("remainder", torch.remainder), ("fmod", torch.fmod)):
        call = lambda a, b: function(a, b)
        for what, left, right, dims in BROADCAST:
            draw = corpus.draw(op, what)
            # Where a is a whole number of times b the slope in b jumps.
            inputs = {"a": draw.floats(*left, low=-8, high=8), "b": draw.floats(*right)}
            corpus.add(op, what, f"y = {op} a, b", inputs, call, dims=dims, kinks=True)
        inputs = {"a": torch.tensor([7, -7, 7, -7, 6]), "b": torch.tensor([3, 3, -3, -3, -3])}
        corpus.add(op, "integers", f"y = {op} a, b", inputs, call)
        nan, inf = float("nan"), float("inf")
        odd = {"a": floats([1.0, inf, nan, -0.5]), "b": floats([0.0, 2.0, 2.0, 4.0])}
        corpus.add(op, "not a number", f"y = {op} a, b", odd, call, fixed=("a", "b"))


def classify(corpus):
    nan, inf = float("nan"), float("inf")
    x = {"x": floats([[1.0, nan, inf], [-inf, 0.0, 1e30]])}
    corpus.add("is_nan", "corners", "y = is_nan x", x, torch.isnan, dims={"x": "n, 3"},
               fixed=("x",))
    corpus.add("is_inf", "both", "y = is_inf x", x, torch.isinf, fixed=("x",))
    corpus.add("is_inf", "positive", "y = is_inf x {negative=false}", x, torch.isposinf,
               fixed=("x",))
    corpus.add("is_inf", "negative", "y = is_inf x {positive=false}", x, torch.isneginf,
               fixed=("x",))
    corpus.add("logical_xor", "broadcast", "y = logical_xor a, b",
               {"a": torch.tensor([[True], [False]]), "b": torch.tensor([True, False])},
               torch.logical_xor)


NARROW = [torch.uint8, torch.int8, torch.int16, torch.int32]


def narrow(corpus):
    """Integers that do not fit wrap."""
    for dtype in NARROW:
        bits = torch.iinfo(dtype)
        a = torch.tensor([bits.max, bits.min, bits.max, 7, 100], dtype=dtype)
        b = torch.tensor([1, 1, bits.max, 2, 3], dtype=dtype)
        short = str(dtype).removeprefix("torch.")
        for op, function in (
            ("add", torch.add),
            ("sub", torch.sub),
            ("mul", torch.mul),
            ("maximum", torch.maximum),
            ("minimum", torch.minimum),
            ("remainder", torch.remainder),
            ("lt", torch.lt),
        ):
            call = lambda a, b: function(a, b)
            corpus.add(op, f"of {short}", f"y = {op} a, b", {"a": a, "b": b}, call)
        for op, function in (("neg", torch.neg), ("square", torch.square)):
            call = lambda x: function(x)
            corpus.add(op, f"of {short}", f"y = {op} x", {"x": a}, call)
        whole = torch.tensor([300, -1, 70000, 5])
        name = {torch.uint8: "u8", torch.int8: "i8", torch.int16: "i16", torch.int32: "i32"}[dtype]
        corpus.add("cast", f"to {short}", f"y = cast x {{to={name}}}", {"x": whole},
                   lambda x: x.to(dtype))
    inputs = {"a": torch.tensor([2, -3, 7, 0, 5]), "b": torch.tensor([10, 3, 0, 0, 1])}
    corpus.add("pow", "integers", "y = pow a, b", inputs, torch.pow)
    large = torch.tensor([[2**32 - 1, 7], [0, 2**31]])
    for dtype, name in ((torch.uint16, "u16"), (torch.uint32, "u32"), (torch.uint64, "u64")):
        graph = f"t = cast x {{to={name}}}\ny = cast t {{to=i64}}"
        corpus.add("cast", f"to {name} and back", graph, {"x": large},
                   lambda x: x.to(dtype).to(torch.int64))


def bitwise(corpus):
    for op, function in (
        ("bitwise_and", torch.bitwise_and),
        ("bitwise_or", torch.bitwise_or),
        ("bitwise_xor", torch.bitwise_xor),
    ):
        call = lambda a, b: function(a, b)
        for dtype in (torch.uint8, torch.int8, torch.int64):
            short = str(dtype).removeprefix("torch.")
            a = torch.tensor([[1], [100], [-1 if dtype != torch.uint8 else 255]], dtype=dtype)
            b = torch.tensor([5, 12, 90], dtype=dtype)
            corpus.add(op, f"of {short}", f"y = {op} a, b", {"a": a, "b": b}, call,
                       dims={"a": "n, 1"})
        truth = {"a": torch.tensor([True, True, False]), "b": torch.tensor([True, False, False])}
        corpus.add(op, "truth values", f"y = {op} a, b", truth, call)
    for dtype in (torch.uint8, torch.int8, torch.int64, torch.bool):
        short = str(dtype).removeprefix("torch.")
        x = torch.tensor([0, 1, 1 if dtype == torch.bool else 100], dtype=dtype)
        corpus.add("bitwise_not", f"of {short}", "y = bitwise_not x", {"x": x}, torch.bitwise_not)
    for op, function in (
        ("shift_left", torch.bitwise_left_shift),
        ("shift_right", torch.bitwise_right_shift),
    ):
        call = lambda a, b: function(a, b)
        for dtype in (torch.uint8, torch.int8, torch.int32, torch.int64):
            short = str(dtype).removeprefix("torch.")
            a = torch.tensor([1, 100, torch.iinfo(dtype).max, torch.iinfo(dtype).min], dtype=dtype)
            b = torch.tensor([3, 1, 4, 2], dtype=dtype)
            if dtype == torch.int64 and op == "shift_left":
                a = torch.tensor([1, 100, -3, 2**40])
            corpus.add(op, f"of {short}", f"y = {op} a, b", {"a": a, "b": b}, call)
