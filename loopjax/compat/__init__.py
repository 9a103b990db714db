"""Import paths of Theano and Aesara, as aliases of LoopJAX's own names.

Enters: the public names. Leaves: modules such as ``loopjax.scan.utils`` in ``sys.modules``. Nothing else may import
from here.
"""
