"""The output of each ported program: what it prints in Python 3 with ``loopjax.compat``."""

OUTPUTS = {
    "adadelta": """\
updates 800
4.822257
falls True
epochs 400
""",
    "autoencoder": """\
falls True
W (16, 8) True
b (8,) True
b_prime (16,) True
""",
    "batch_iterator": """\
(2, 3) ['2.50', '3.50', '4.50']
3
/c d
644 1099511627776 3 -4 3.5
['b', 'a'] True True
""",
    "custom_op": """\
y shape = (3,)
[1.0, 3.0, 6.0] [20.0, 18.0, 12.0]
18.0
gradient is right
TypeError
""",
    "elman": """\
5.881571
6.1295
float64 8
""",
    "gpu_switches": """\
Used the cpu
float32 True
device cpu
27.0
""",
    "gru_sampler": """\
(12,) int64 True
True
0 1 301
12
""",
    "hmc": """\
samples (10000, 2)
mean True
std [0.5, 1.0]
accepts True
""",
    "layers_star": """\
[0.2856, 0.6971, 1.8613]
[0.0, 0.5, 0.0]
2
10.25
[-1.0, 0.5, 3.0, 1.0, -0.5, -3.0]
[-1.0, 0.5, 1.0]
[3, -4, 4]
[3, -4, 4]
[1, 1, 0]
4
True
""",
    "lenet": """\
side 2 features 16
total 0.395080
gradient (3, 1, 3, 3) -19.853498
""",
    "linear_fit": """\
2.000 0.250
True True
half 50 50
""",
    "logistic": """\
batches 12
errors 0.017
cost 0.12884
sum 10.58205
""",
    "lstm": """\
dim 5
cost 0.039559
0.548713 0.070965 0.152289
""",
    "mlp": """\
parameters 6 (6, 3)
first 2.013792
last 0.113524
falls True
""",
    "monitor_borrow": """\
sum 18.0
[9.0, 9.0, 9.0, 9.0]
[0, 1, 2] 3
(False, False) (True, False)
""",
    "rbm": """\
epochs 60
lower True
chain (20, 6) True
""",
    "sparse_ica": """\
det 1.000000 0.000000
lower True
orthogonal True
bins 4
""",
    "taps_filter": """\
0.0000 0.0000 0.5000 0.7500 1.0000 1.0625
1.0000 1.9000 2.7100 3.4390 3.0951 2.7856 2.5070 2.2563
7 128.0
4.0 1.0 4.0
3 0.75
""",
    "tree_recursion": """\
[2.0, 2.0, 2.0]
True True
[0.58512, 0.58512, 0.58512] True
3.5 3
""",
    "word_vectors": """\
words 8 pairs 62
first 2.079442
last 1.6544
""",
}
