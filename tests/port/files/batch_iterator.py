"""Python 2 at its most: classes with next, StringIO, exec, map and filter as lists, urllib, long integers, octals."""
import StringIO
import urllib
import urlparse
import os, sys
import numpy
import theano
from theano import tensor as T


class Batches:
    def __init__(self, data, size):
        self.data, self.size, self.at = data, size, 0

    def __iter__(self):
        return self

    def next(self):
        if self.at + self.size > len(self.data):
            raise StopIteration
        self.at += self.size
        return self.data[self.at - self.size:self.at]

    def __nonzero__(self):
        return len(self.data) > 0


buffer = StringIO.StringIO()
print >>buffer, "1,2,3"
print >>buffer, "4,5,6",
rows = map(lambda line: map(float, line.split(',')), buffer.getvalue().strip().split('\n'))
data = numpy.array(rows * 4, dtype=theano.config.floatX)
x = T.matrix()
mean = theano.function([x], x.mean(0))
batches = Batches(data, data.shape[0] / 4)
if batches:
    first = batches.next()
    print first.shape, map(lambda v: '%.2f' % v, mean(first))
print len(filter(lambda b: b.sum() > 0, batches))
print urlparse.urlparse(urllib.unquote('http://a.b/c%20d?x=1')).path
mode = 0644
big = 2L ** 40
print oct(mode)[-3:], big, 7 / 2, -7 / 2, 7 / 2.
exec "z = 3" in {}
keys = dict(a=1, b=2).keys()
keys.sort(reverse=True)
print keys, sys.maxint > 2 ** 31, os.getcwdu() <> ''
assert isinstance(keys[0], (str, unicode))
