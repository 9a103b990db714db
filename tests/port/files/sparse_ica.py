"""Reconstruction ICA: sandbox.linalg of the time, eigenvectors, SciPy's optimizer on flat parameters."""
import numpy as np
import scipy.optimize
import theano
import theano.tensor as T
from theano.sandbox.linalg import ops as linalg
from theano.tensor import nlinalg

rng = np.random.RandomState(5)
mixed = np.dot(rng.laplace(size=(200, 3)), np.array([[1., .3, 0.], [0., 1., -.4], [.2, 0., 1.]]))
C = T.matrix('C')
whiten = theano.function([C], [linalg.matrix_inverse(C), nlinalg.det(C), nlinalg.trace(linalg.matrix_inverse(C))])
inverse, det, trace = whiten(np.cov(mixed.T))
d, E = np.linalg.eigh(np.cov(mixed.T))
white = np.dot(mixed - mixed.mean(0), E / np.sqrt(d))
print 'det %.6f' % (det * np.linalg.det(inverse)), '%.6f' % (trace - np.trace(inverse))

n = 3
theta = T.vector('theta')
X = T.matrix('X')
W = theta.reshape((n, n))
W = W / T.sqrt((W ** 2).sum(1, keepdims=True) + 1e-8)
Y = T.dot(X, W.T)
cost = 0.1 * T.sqrt(Y ** 2 + 1e-6).mean() * n + ((T.dot(Y, W) - X) ** 2).mean()
f = theano.function([theta, X], [cost, T.grad(cost, theta)])


def objective(t):
    c, g = f(t, white)
    return float(c), np.asarray(g, dtype=np.float)

start = np.eye(3).ravel() + .1
result = scipy.optimize.fmin_l_bfgs_b(objective, start, maxiter=200)
print 'lower', result[1] < objective(start)[0]
found = result[0].reshape(n, n)
found = found / np.sqrt((found ** 2).sum(1, keepdims=True))
print 'orthogonal', abs(np.dot(found, found.T) - np.eye(3)).max() < 0.2
print 'bins', np.histogram(white[:, 0], bins=n ** 2 / 2)[0].shape[0]
