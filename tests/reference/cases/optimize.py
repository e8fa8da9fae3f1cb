"""Optimizer updates, three steps each, against `torch.optim`: a case for each step, whose inputs
are what the step before left."""

import math

import torch

STEPS = 3

SGD = {
    "plain": {},
    "weight decay": {"weight_decay": 0.05},
}

MOMENTUM = {
    "plain": {"momentum": 0.9},
    "weight decay": {"momentum": 0.9, "weight_decay": 0.05},
    "dampening": {"momentum": 0.75, "dampening": 0.25},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "nesterov, weight decay": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.125},
}

ADAM = {
    "adam": (torch.optim.Adam, {}),
    "adam, weight decay": (torch.optim.Adam, {"weight_decay": 0.05}),
    "adam, other betas": (torch.optim.Adam, {"betas": (0.75, 0.875), "eps": 1e-4}),
    "adamw": (torch.optim.AdamW, {}),
    "adamw, more decay": (torch.optim.AdamW, {"weight_decay": 0.5, "betas": (0.8, 0.95)}),
}


def record(corpus):
    for what, options in SGD.items():
        def inputs(p, g, slots, lr, step):
            return {"p": p, "g": g}

        def constants(lr, step):
            return {"lr": lr, "decay": options.get("weight_decay", 0.0)}

        run(corpus, "sgd", what, torch.optim.SGD, options, [], inputs, constants,
            "p1 = sgd p, g, lr, decay")
    for what, options in MOMENTUM.items():
        def inputs(p, g, slots, lr, step):
            return {"p": p, "g": g, "buffer": slots["momentum_buffer"]}

        def constants(lr, step):
            return {
                "lr": lr,
                "decay": options.get("weight_decay", 0.0),
                "momentum": options["momentum"],
                # PyTorch begins with the gradient itself, undampened.
                "dampening": options.get("dampening", 0.0) if step > 1 else 0.0,
            }

        nesterov = str(options.get("nesterov", False)).lower()
        run(corpus, "sgd_momentum", what, torch.optim.SGD, options, ["momentum_buffer"], inputs,
            constants,
            "p1, buffer1 = sgd_momentum p, g, buffer, lr, decay, momentum, dampening "
            f"{{nesterov={nesterov}}}")
    for what, (optimizer, options) in ADAM.items():
        beta1, beta2 = options.get("betas", (0.9, 0.999))
        decoupled = optimizer is torch.optim.AdamW

        def inputs(p, g, slots, lr, step):
            return {"p": p, "g": g, "m": slots["exp_avg"], "v": slots["exp_avg_sq"]}

        def constants(lr, step):
            return {
                "size": lr / (1.0 - beta1**step),
                "rest1": 1.0 - beta1,
                "beta2": beta2,
                "eps": options.get("eps", 1e-8),
                "decay": options.get("weight_decay", 0.01 if decoupled else 0.0),
                "root": math.sqrt(1.0 - beta2**step),
                "lr": lr,
                "rest2": 1.0 - beta2,
            }

        run(corpus, "adam", what, optimizer, options, ["exp_avg", "exp_avg_sq"], inputs, constants,
            "p1, m1, v1 = adam p, g, m, v, size, rest1, beta2, eps, decay, root, lr, rest2 "
            f"{{decoupled={str(decoupled).lower()}}}")


def run(corpus, op, what, optimizer, options, slots, inputs, constants, graph):
    draw = corpus.draw(op, what)
    p = draw.floats(3, 5).requires_grad_()
    gradients = [draw.floats(3, 5) for _ in range(STEPS)]
    # A learning rate that changes, as schedules have it.
    rates = [0.0625, 0.03125, 0.046875]
    stepper = optimizer([p], lr=rates[0], foreach=False, **options)
    for step, (gradient, lr) in enumerate(zip(gradients, rates), 1):
        state = stepper.state[p]
        old = {}
        for slot in slots:
            value = state.get(slot)
            old[slot] = torch.zeros_like(p.detach()) if value is None else value.detach().clone()
        given = inputs(p.detach().clone(), gradient, old, lr, step)
        stepper.param_groups[0]["lr"] = lr
        p.grad = gradient.clone()
        stepper.step()
        after = [p.detach().clone()] + [stepper.state[p][slot].detach().clone() for slot in slots]
        results = [r.strip() for r in graph.partition("=")[0].split(",")]
        corpus.add(op, f"{what}, step {step}", graph, given, lambda *_: after,
                   constants=constants(lr, step), results=results, fixed=tuple(given))
