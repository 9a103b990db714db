"""Import paths of Theano and Aesara, as aliases of LoopJAX's own names."""
