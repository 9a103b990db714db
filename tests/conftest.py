"""What all tests share: every graph is verified after every rewrite."""

from loopjax import config

config.verify = True
