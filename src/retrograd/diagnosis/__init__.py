"""Why a network does not learn: symptoms with evidence, failure first."""
