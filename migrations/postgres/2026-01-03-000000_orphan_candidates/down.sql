DROP TABLE orphan_candidates;
