"""Programs of the workloads that were held out once, one file per kind: samplers, filters, dynamic programming,
networks, simulation and time series; signals, control, decisions and life; sampling, estimation, recursions, recurrent
networks, physics and forecasting; learning, inference, solvers, search and sequences; chance,
dynamics, markets, processing, tables and training; choices, codes, fitting, numerics and scenes;
sounds, organisms, money, nature and machines; memories, beliefs, symbols, matter and worlds;
messages, chains, groups, streams and plans; connections, places, populations, trails and descents;
pictures, substances, composers, puzzles and judgements; vehicles, risks, environments, minds and
channels."""
