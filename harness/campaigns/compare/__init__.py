"""``splitbrain compare``: message counts, election times and safety of election algorithms, measured."""
