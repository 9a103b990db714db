from theano import *
from theano.tensor import *
from theano.tensor.nnet import sigmoid, softmax
import numpy

# names by star, comparisons of variables, int_division
a = dvector('a')
b = ivector('b')
n = iscalar('n')
c = sigmoid(a) + softmax(a)[0]
d = switch(gt(a, 0) & lt(a, 2), a, zeros_like(a))
f = function([a], [c, d, argmax(a), sqr(a).sum(), concatenate([a, -a]), minimum(a, 1)])
for r in f([-1., 0.5, 3.]):
    print numpy.round(r, 4).tolist()
g = function([b, n], [b / n, b // n, b % n, b.sum() / n])
for r in g([7, -7, 8], 2):
    print r.tolist()
print any([False, True]).eval()
