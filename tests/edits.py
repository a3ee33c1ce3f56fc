"""Ways of changing what a function reaches: in each, EDITED goes from 1 to 2."""

PRELUDE = (
    "import collections\nimport dataclasses\nimport enum\nimport functools\nimport re\n"
    "import types\nimport jax\nimport jax.numpy as jnp\nimport numpy as np\nimport nthlib as nth\n"
)
CALL = "def measure(width, key):\n    return {'a': helper(1.0)}\n"

# Sources in which EDITED goes from 1 to 2: each time the measured number changes.
EDITS = {
    "the function": "def measure(width, key):\n    return {'a': EDITED.0}\n",
    "a constant": "C = EDITED\ndef measure(width, key):\n    return {'a': 1.0 * C}\n",
    "an array": "C = jnp.ones(EDITED)\ndef measure(width, key):\n    return {'a': C.sum()}\n",
    "a random key": (
        "C = jax.random.key(EDITED)\n"
        "def measure(width, key):\n    return {'a': jax.random.normal(C)}\n"
    ),
    "a helper": "def helper(x):\n    return EDITED * x\n" + CALL,
    "a helper's helper": (
        "def deep(x):\n    return EDITED * x\ndef helper(x):\n    return deep(x)\n" + CALL
    ),
    "a recursive helper": (
        "def helper(x):\n    return EDITED * x if x < 9 else helper(x - 1)\n" + CALL
    ),
    "a jitted helper": ("@jax.jit\ndef helper(x):\n    return EDITED * x\n" + CALL),
    "a vmapped helper": (
        "def single(x):\n    return EDITED * x\nhelper = jax.vmap(single)\n"
        "def measure(width, key):\n    return {'a': helper(jnp.ones(2)).sum()}\n"
    ),
    "a cached helper": ("@functools.lru_cache\ndef helper(x):\n    return EDITED * x\n" + CALL),
    "a partial helper": (
        "def scaled(c, x):\n    return c * x\nhelper = functools.partial(scaled, EDITED)\n" + CALL
    ),
    "a helper called in an inner function": (
        "def helper(x):\n    return EDITED * x\n"
        "def measure(width, key):\n"
        "    def inner(x):\n        return helper(x)\n"
        "    return {'a': inner(1.0)}\n"
    ),
    "a helper called in a comprehension": (
        "def helper(x):\n    return EDITED * x\n"
        "def measure(width, key):\n    return {'a': sum([helper(x) for x in (1.0, 2.0)])}\n"
    ),
    "the second of two lambdas": (
        "def build(f, g):\n"
        "    def measure(width, key):\n        return {'a': f(1.0) + g(1.0)}\n"
        "    return measure\n"
        "measure = build(\n    lambda x: x,\n    lambda x: EDITED * x,\n)\n"
    ),
    "a default argument": (
        "C = EDITED\ndef measure(width, key, scale=C):\n    return {'a': 1.0 * scale}\n"
    ),
    "a network": (
        "net = nth.FullyConnected(3, 8, EDITED)\n"
        "def measure(width, key):\n    return {'a': 1.0 * net.depth}\n"
    ),
    "a function in a table": (
        "TABLE = {\n    'f': lambda x: EDITED * x,\n}\n"
        "def measure(width, key):\n    return {'a': TABLE['f'](1.0)}\n"
    ),
    "a method": (
        "class Helper:\n    def value(self, x):\n        return EDITED * x\n"
        "def measure(width, key):\n    return {'a': Helper().value(1.0)}\n"
    ),
    "a partial of the measure": (
        "def plain(scale, width, key):\n    return {'a': 1.0 * scale}\n"
        "measure = functools.partial(plain, EDITED)\n"
    ),
    "a function given to a partial": (
        "def plain(f, width, key):\n    return {'a': f(1.0)}\n"
        "measure = functools.partial(plain, lambda x: EDITED * x)\n"
    ),
    "a class attribute": (
        "class Helper:\n    scale = EDITED\n"
        "def measure(width, key):\n    return {'a': 1.0 * Helper.scale}\n"
    ),
    "a static method": (
        "class Helper:\n    @staticmethod\n    def value(x):\n        return EDITED * x\n"
        "def measure(width, key):\n    return {'a': Helper.value(1.0)}\n"
    ),
    "a class method": (
        "class Helper:\n    @classmethod\n    def value(cls, x):\n        return EDITED * x\n"
        "def measure(width, key):\n    return {'a': Helper.value(1.0)}\n"
    ),
    "a property": (
        "class Helper:\n    @property\n    def value(self):\n        return 1.0 * EDITED\n"
        "def measure(width, key):\n    return {'a': Helper().value}\n"
    ),
    "a cached property": (
        "class Helper:\n    @functools.cached_property\n    def value(self):\n"
        "        return 1.0 * EDITED\n"
        "def measure(width, key):\n    return {'a': Helper().value}\n"
    ),
    "a base class's method": (
        "class Base:\n    def value(self, x):\n        return EDITED * x\n"
        "class Helper(Base):\n    pass\n"
        "def measure(width, key):\n    return {'a': Helper().value(1.0)}\n"
    ),
    "an object's call": (
        "class Helper:\n    def __call__(self, x):\n        return EDITED * x\n"
        "helper = Helper()\n" + CALL
    ),
    "an object's attribute": (
        "class Helper:\n    def __init__(self, c):\n        self.c = c\n"
        "    def __call__(self, x):\n        return self.c * x\n"
        "helper = Helper(EDITED)\n" + CALL
    ),
    "an object's slot": (
        "class Helper:\n    __slots__ = ('c',)\n"
        "    def __call__(self, x):\n        return self.c * x\n"
        "helper = Helper()\nhelper.c = EDITED\n" + CALL
    ),
    "an attribute that is no field of a dataclass": (
        "@dataclasses.dataclass\nclass Helper:\n    b: float\n"
        "    def __call__(self, x):\n        return self.b * self.c * x\n"
        "helper = Helper(1.0)\nhelper.c = EDITED\n" + CALL
    ),
    "the default of a field": (
        "@dataclasses.dataclass\nclass Helper:\n"
        "    c: list = dataclasses.field(default_factory=lambda: [EDITED])\n"
        "def measure(width, key):\n    return {'a': 1.0 * Helper().c[0]}\n"
    ),
    "a metaclass": (
        "class Meta(type):\n    def value(cls, x):\n        return EDITED * x\n"
        "class Helper(metaclass=Meta):\n    pass\n"
        "def measure(width, key):\n    return {'a': Helper.value(1.0)}\n"
    ),
    "a class made by a function": (
        "Helper = dataclasses.make_dataclass('Helper', [],\n"
        "    namespace={'value': lambda self, x: EDITED * x})\n"
        "def measure(width, key):\n    return {'a': Helper().value(1.0)}\n"
    ),
    "a bound method": (
        "class Helper:\n    c = 1.0\n    def value(self, x):\n        return self.c * x\n"
        "owner = Helper()\nowner.c = EDITED\nhelper = owner.value\n" + CALL
    ),
    "an element of an enumeration": (
        "class Way(enum.Enum):\n    ONE = EDITED\n"
        "def measure(width, key):\n    return {'a': 1.0 * Way.ONE.value}\n"
    ),
    "a function in a list": (
        "LIST = [lambda x: x, lambda x: EDITED * x]\n"
        "def measure(width, key):\n    return {'a': LIST[1](1.0)}\n"
    ),
    "a function in a table of one's own kind": (
        "TABLE = collections.OrderedDict(f=lambda x: EDITED * x)\n"
        "def measure(width, key):\n    return {'a': TABLE['f'](1.0)}\n"
    ),
    "an array in a set of tuples": (
        "PAIRS = {(EDITED, 2)}\ndef measure(width, key):\n    return {'a': 1.0 * min(PAIRS)[0]}\n"
    ),
    "a decorator that keeps the name": (
        "def scaled(f):\n    @functools.wraps(f)\n    def wrapper(x):\n"
        "        return EDITED * f(x)\n    return wrapper\n"
        "@scaled\ndef helper(x):\n    return x\n" + CALL
    ),
    "what a decorator keeps": (
        "def scaled(f):\n    @functools.wraps(f)\n    def wrapper(x):\n"
        "        return wrapper.c * f(x)\n    wrapper.c = EDITED\n    return wrapper\n"
        "@scaled\ndef helper(x):\n    return x\n" + CALL
    ),
    "the axis of a vmap": (
        "helper = jax.vmap(lambda x: x.max(), in_axes=EDITED - 1)\n"
        "def measure(width, key):\n"
        "    return {'a': helper(jnp.arange(4.0).reshape(2, 2)).sum()}\n"
    ),
    "the function of a gradient": (
        "helper = jax.grad(jax.checkpoint(lambda x: EDITED * x))\n" + CALL
    ),
    "the rule of a custom_jvp": (
        "@jax.custom_jvp\ndef helper(x):\n    return x\n"
        "@helper.defjvp\ndef rule(primals, tangents):\n"
        "    return primals[0], EDITED * tangents[0]\n"
        "def measure(width, key):\n    return {'a': jax.grad(helper)(1.0)}\n"
    ),
    "the rule of a custom_vjp": (
        "@jax.custom_vjp\ndef helper(x):\n    return x\n"
        "helper.defvjp(lambda x: (x, ()), lambda _, g: (EDITED * g,))\n"
        "def measure(width, key):\n    return {'a': jax.grad(helper)(1.0)}\n"
    ),
    "a default given by keyword": (
        "C = EDITED\ndef measure(width, key, *, scale=C):\n    return {'a': 1.0 * scale}\n"
    ),
    "what is closed over": (
        "def build(c):\n    def measure(width, key):\n        return {'a': 1.0 * c}\n"
        "    return measure\nmeasure = build(EDITED)\n"
    ),
    "a function of NumPy": (
        "helper = np.vectorize(lambda x: EDITED * x)\n"
        "def measure(width, key):\n    return {'a': float(helper(1.0))}\n"
    ),
    "the state of a generator of random numbers": (
        "RNG = np.random.default_rng(EDITED)\n"
        "def measure(width, key):\n    return {'a': RNG.normal()}\n"
    ),
    "a pattern": (
        "PATTERN = re.compile('[1EDITED]')\n"
        "def measure(width, key):\n    return {'a': len(PATTERN.sub('', '122'))}\n"
    ),
}


def in_notebook(source):
    """The measure of a cell that was run in a notebook: no file holds it."""
    cell = {"__name__": "__main__"}
    exec(compile(PRELUDE + source, "<cell>", "exec"), cell)
    return cell["measure"]
