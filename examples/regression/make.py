"""Makes friedman.csv anew: 600 rows of Friedman's first benchmark function (1991) with noise.

y = 10 sin(pi a b) + 20 (c - 0.5)^2 + 10 d + 5 e + noise; f and g say nothing about y.
"""

import math
import random

draw = random.Random(1991)
with open("friedman.csv", "w", newline="\n") as file:
    print("a,b,c,d,e,f,g,y", file=file)
    for _ in range(600):
        a, b, c, d, e, f, g = row = [round(draw.random(), 3) for _ in range(7)]
        y = 10 * math.sin(math.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e
        y += draw.gauss(0, 1)
        print(*(f"{x:.3f}"[1:] if x < 1 else "1" for x in row), f"{y:.2f}", sep=",", file=file)
