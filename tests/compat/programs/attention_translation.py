"""An encoder and decoder with attention, layers by name and states that may be missing: ``if init_state:``."""

from collections import OrderedDict

import numpy

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as tensor

profile = False


def _p(pp, name):
    return "%s_%s" % (pp, name)


def ortho_weight(ndim, rng):
    u, s, v = numpy.linalg.svd(rng.randn(ndim, ndim))
    return u.astype(theano.config.floatX)


def norm_weight(nin, nout, rng):
    return (0.3 * rng.randn(nin, nout)).astype(theano.config.floatX)


def init_params(n_words, dim_word, dim, rng):
    params = OrderedDict()
    params["Wemb"] = norm_weight(n_words, dim_word, rng)
    params["Wemb_dec"] = norm_weight(n_words, dim_word, rng)
    for prefix in ("encoder", "decoder"):
        params[_p(prefix, "W")] = numpy.concatenate([norm_weight(dim_word, dim, rng) for _ in range(2)], axis=1)
        params[_p(prefix, "b")] = numpy.zeros((2 * dim,)).astype(theano.config.floatX)
        params[_p(prefix, "U")] = numpy.concatenate([ortho_weight(dim, rng), ortho_weight(dim, rng)], axis=1)
        params[_p(prefix, "Wx")] = norm_weight(dim_word, dim, rng)
        params[_p(prefix, "Ux")] = ortho_weight(dim, rng)
    params["decoder_Wc"] = norm_weight(dim, dim, rng)
    params["decoder_Wc_att"] = norm_weight(dim, dim, rng)
    params["decoder_W_comb_att"] = norm_weight(dim, dim, rng)
    params["decoder_U_att"] = norm_weight(dim, 1, rng)
    params["decoder_c_tt"] = numpy.zeros((1,)).astype(theano.config.floatX)
    params["ff_W"] = norm_weight(2 * dim, n_words, rng)
    params["ff_b"] = numpy.zeros((n_words,)).astype(theano.config.floatX)
    return params


def _slice(_x, n, dim):
    if _x.ndim == 3:
        return _x[:, :, n * dim : (n + 1) * dim]
    return _x[:, n * dim : (n + 1) * dim]


def gates(tparams, prefix, x_, xx_, h_, dim):
    preact = tensor.nnet.sigmoid(tensor.dot(h_, tparams[_p(prefix, "U")]) + x_)
    r = _slice(preact, 0, dim)
    u = _slice(preact, 1, dim)
    h = tensor.tanh(tensor.dot(h_, tparams[_p(prefix, "Ux")]) * r + xx_)
    return u * h_ + (1.0 - u) * h


def gru_layer(tparams, state_below, dim, prefix="encoder", mask=None, init_state=None):
    n_samples = state_below.shape[1] if state_below.ndim == 3 else 1
    if not mask:
        mask = tensor.alloc(1.0, state_below.shape[0], 1)
    if not init_state:
        init_state = tensor.alloc(0.0, n_samples, dim)

    def _step(m_, x_, xx_, h_, U, Ux):
        h = gates(tparams, prefix, x_, xx_, h_, dim)
        return m_[:, None] * h + (1.0 - m_)[:, None] * h_

    rval, updates = theano.scan(
        _step,
        sequences=[
            mask,
            tensor.dot(state_below, tparams[_p(prefix, "W")]) + tparams[_p(prefix, "b")],
            tensor.dot(state_below, tparams[_p(prefix, "Wx")]),
        ],
        outputs_info=[init_state],
        non_sequences=[tparams[_p(prefix, "U")], tparams[_p(prefix, "Ux")]],
        name=_p(prefix, "_layers"),
        n_steps=state_below.shape[0],
        profile=profile,
        strict=True,
    )
    return rval


def decoder_layer(tparams, state_below, dim, context, context_mask, init_state, mask=None, prefix="decoder"):
    assert context, "Context must be provided"
    pctx_ = tensor.dot(context, tparams[_p(prefix, "Wc_att")])

    def _step(x_, xx_, h_, ctx_, pctx_, cc_):
        pstate_ = tensor.dot(h_, tparams[_p(prefix, "W_comb_att")])
        pctx__ = tensor.tanh(pctx_ + pstate_[None, :, :])
        alpha = tensor.dot(pctx__, tparams[_p(prefix, "U_att")]) + tparams[_p(prefix, "c_tt")]
        alpha = alpha.reshape([alpha.shape[0], alpha.shape[1]])
        alpha = tensor.exp(alpha)
        if context_mask:
            alpha = alpha * context_mask
        alpha = alpha / alpha.sum(0, keepdims=True)
        ctx_ = (cc_ * alpha[:, :, None]).sum(0)
        h = gates(tparams, prefix, x_, xx_ + tensor.dot(ctx_, tparams[_p(prefix, "Wc")]), h_, dim)
        return h, ctx_

    rval, updates = theano.scan(
        _step,
        sequences=[
            tensor.dot(state_below, tparams[_p(prefix, "W")]) + tparams[_p(prefix, "b")],
            tensor.dot(state_below, tparams[_p(prefix, "Wx")]),
        ],
        outputs_info=[init_state, tensor.alloc(0.0, state_below.shape[1], context.shape[2])],
        non_sequences=[pctx_, context],
        name=_p(prefix, "_layers"),
        n_steps=state_below.shape[0],
    )
    return rval


def train(n_words=6, dim_word=5, dim=6):
    rng = numpy.random.RandomState(1234)
    tparams = OrderedDict((k, theano.shared(v, name=k)) for k, v in init_params(n_words, dim_word, dim, rng).items())
    x = tensor.matrix("x", dtype="int64")
    x_mask = tensor.matrix("x_mask", dtype=theano.config.floatX)
    y = tensor.matrix("y", dtype="int64")
    y_mask = tensor.matrix("y_mask", dtype=theano.config.floatX)
    emb = tparams["Wemb"][x.flatten()].reshape([x.shape[0], x.shape[1], dim_word])
    ctx = gru_layer(tparams, emb, dim, mask=x_mask)
    ctx_mean = (ctx * x_mask[:, :, None]).sum(0) / x_mask.sum(0)[:, None]
    emb = tparams["Wemb_dec"][y.flatten()].reshape([y.shape[0], y.shape[1], dim_word])
    emb_shifted = tensor.zeros_like(emb)
    emb_shifted = tensor.set_subtensor(emb_shifted[1:], emb[:-1])
    h, ctxs = decoder_layer(tparams, emb_shifted, dim, ctx, x_mask, ctx_mean)
    logit = tensor.dot(tensor.concatenate([h, ctxs], axis=2), tparams["ff_W"]) + tparams["ff_b"]
    logit_shp = logit.shape
    probs = tensor.nnet.softmax(logit.reshape([logit_shp[0] * logit_shp[1], logit_shp[2]]))
    y_flat = y.flatten()
    y_flat_idx = tensor.arange(y_flat.shape[0]) * n_words + y_flat
    cost = -tensor.log(probs.flatten()[y_flat_idx])
    cost = cost.reshape([y.shape[0], y.shape[1]])
    cost = (cost * y_mask).sum(0).mean()
    params = list(tparams.values())
    grads = tensor.grad(cost, wrt=params)
    g2 = 0.0
    for g in grads:
        g2 += (g**2).sum()
    clip_c = 1.0
    grads = [tensor.switch(g2 > (clip_c**2), g / tensor.sqrt(g2) * clip_c, g) for g in grads]
    i = theano.shared(numpy.float64(0.0))
    updates = [(i, i + 1)]
    for p, g in zip(params, grads):
        m = theano.shared(p.get_value() * 0.0)
        v = theano.shared(p.get_value() * 0.0)
        m_t = 0.9 * m + 0.1 * g
        v_t = 0.999 * v + 0.001 * g**2
        p_t = p - 0.03 * (m_t / (1 - 0.9 ** (i + 1))) / (tensor.sqrt(v_t / (1 - 0.999 ** (i + 1))) + 1e-8)
        updates += [(m, m_t), (v, v_t), (p, p_t)]
    f = theano.function([x, x_mask, y, y_mask], cost, updates=updates, profile=profile)
    source = rng.randint(n_words, size=(4, 8))
    mask = numpy.ones((4, 8), dtype=theano.config.floatX)
    mask[3, :4] = 0
    return [float(f(source, mask, source[::-1].copy(), numpy.ones((4, 8)))) for _ in range(40)]
