"""Taps into the past and the future, strides of steps, go_backwards, foldl and until."""
import numpy as np
import theano
import theano.tensor as T
from theano.scan_module import until
from theano import scan, foldl, map as tmap, reduce as treduce

x = T.dvector('x')
limit = T.dscalar('limit')


def arma(x_tm2, x_t, y_tm2, y_tm1, a, b):
    return 0.5 * x_t + 0.25 * x_tm2 + a * y_tm1 - b * y_tm2

y, _ = scan(arma, sequences=dict(input=x, taps=[-2, 0]),
            outputs_info=dict(initial=T.zeros((2,)), taps=[-2, -1]), non_sequences=[T.constant(.5), T.constant(.25)])
back, _ = scan(lambda v, s: s * 0.9 + v, sequences=[x], outputs_info=T.constant(0.), go_backwards=True)
powers, _ = scan(lambda p, top: (p * 2, until(p * 2 > top)), outputs_info=T.constant(1.), non_sequences=limit,
                 n_steps=1024)
total, _ = foldl(lambda v, acc: acc + v, x, T.constant(0.))
largest, _ = treduce(lambda v, acc: T.maximum(v, acc), x, T.constant(-1e30))
squares, _ = tmap(lambda v: v ** 2, x)
f = theano.function([x, limit], [y, back, powers, total, largest, squares], profile=False)
values = f(np.arange(8) / 4, 100.)
for v in values[:1] + values[1:2]:
    print ' '.join(['%.4f' % e for e in v])
print len(values[2]), values[2][-1]
print values[3], values[4], values[5].sum()
half = values[0].shape[0] / 2
print half, values[0][half]
