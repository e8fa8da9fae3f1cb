"""One description of many models as two texts: Syncarp's, and MLIR's in the dialect TOSA.

A description is a list of steps a model. The first half of every model is the same; then each goes
its own way. Three of ten steps have another spelling or do nothing: a reshape and its way back, a
transposition and its way back, a multiplication by one.
"""

ROWS, COLUMNS = 32, 64
UNARY = [("tanh", "tanh"), ("sigmoid", "sigmoid"), ("exp", "exp"), ("abs", "abs"),
         ("neg", "negate"), ("floor", "floor")]
BINARY = ["add", "mul", "sub", "maximum"]


class Draw:
    """Numbers that are the same everywhere: the middle of a linear congruential generator."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % bound


def describe(model, ops):
    """The ops of a model as (name, operands, type); an operand is the number of an earlier op, or
    -1, the input."""
    draw = Draw(1)
    made, recent = [], [-1] * 4
    whole = (ROWS, COLUMNS)
    own = False
    while len(made) < ops:
        if not own and len(made) >= ops // 2:
            own, draw = True, Draw(2 + model)
        last = recent[3]

        def emit(name, operands, shape=whole):
            made.append((name, operands, shape))
            return len(made) - 1

        kind = draw.below(10)
        if kind < 4:
            value = emit(UNARY[draw.below(len(UNARY))], [last])
        elif kind < 7:
            pair = [recent[draw.below(3)], last]
            if draw.below(2):
                pair.reverse()
            value = emit(BINARY[draw.below(len(BINARY))], pair)
        elif kind == 7:
            flat = emit("reshape", [last], (ROWS * COLUMNS,))
            value = emit("reshape", [flat])
        elif kind == 8:
            turned = emit("transpose", [last], (COLUMNS, ROWS))
            value = emit("transpose", [turned])
        else:
            one = emit("one", [], (1, 1))
            value = emit("mul", [one, last])
        recent = recent[1:] + [value]
    return made, recent[3]


def syncarp(models, out):
    """Writes models as a plan."""
    out.write("syncarp 1\n")
    for index in range(len(models)):
        out.write(f'\nmodel m{index} "model{index}" data d0 {{}}\n')
    stands_for = ", ".join(f'm{index} "x"' for index in range(len(models)))
    out.write(f'\ngraph "eval" {{\n  v0 = input {{dims=dims[{ROWS}, {COLUMNS}], dtype=f32, '
              f'model=m0, name="x"}} : f32[{ROWS}, {COLUMNS}] @{stands_for}\n')
    value, results = 1, []
    for index, (made, last) in enumerate(models):
        first = value
        for step, (name, operands, shape) in enumerate(made):
            dims = ", ".join(map(str, shape))
            names = ", ".join("v0" if o < 0 else f"v{first + o}" for o in operands)
            attrs = ""
            if isinstance(name, tuple):
                name = name[0]
            elif name == "reshape":
                attrs = f" {{dims=dims[{dims}]}}"
            elif name == "transpose":
                attrs = " {permutation=[1, 0]}"
            elif name == "one":
                name, attrs = "constant", f"{{dims=dims[{dims}], dtype=f32, value=1.0}}"
            out.write(f'  v{value} = {name} {names}{attrs} : f32[{dims}] @m{index} "op{step}"\n')
            value += 1
        results.append(f"v{first + last}")
    for index, result in enumerate(results):
        out.write(f'  result m{index} "y" = {result}\n')
    out.write("}\n")


def mlir(models, out):
    """Writes models as a function."""
    def tensor(shape, element="f32"):
        return f"tensor<{'x'.join(map(str, shape))}x{element}>"

    whole = tensor((ROWS, COLUMNS))
    types = ", ".join([whole] * len(models))
    out.write(f"func.func @all(%x: {whole}) -> ({types}) {{\n")
    out.write('  %turn = "tosa.const"() <{value = dense<[1, 0]> : tensor<2xi32>}> : () -> tensor<2xi32>\n')
    value, results = 1, []
    for made, last in models:
        first = value
        for name, operands, shape in made:
            names = ["%x" if o < 0 else f"%v{first + o}" for o in operands]
            into = [whole if o < 0 else tensor(made[o][2]) for o in operands]
            attrs = ""
            if isinstance(name, tuple):
                name = name[1]
            elif name == "reshape":
                attrs = f" {{new_shape = array<i64: {', '.join(map(str, shape))}>}}"
            elif name == "transpose":
                names.append("%turn")
                into.append("tensor<2xi32>")
            elif name == "mul":
                attrs = " {shift = 0 : i8}"
            if name == "one":
                ty = tensor(shape)
                out.write(f'  %v{value} = "tosa.const"() <{{value = dense<1.0> : {ty}}}> : () -> {ty}\n')
            else:
                out.write(f"  %v{value} = tosa.{name} {', '.join(names)}{attrs} : "
                          f"({', '.join(into)}) -> {tensor(shape)}\n")
            value += 1
        results.append(f"%v{first + last}")
    out.write(f"  return {', '.join(results)} : {types}\n}}\n")


def write(models, ops, syn, mlir_file):
    """Writes so many models of so many ops into two files."""
    described = [describe(index, ops) for index in range(models)]
    with open(syn, "w", encoding="utf-8") as out:
        syncarp(described, out)
    with open(mlir_file, "w", encoding="utf-8") as out:
        mlir(described, out)
