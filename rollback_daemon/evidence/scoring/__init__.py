"""Raw results of a case runner, and what is made of them: a release gate, a comparison of two engines. Pure."""
