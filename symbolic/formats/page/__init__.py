"""Pages of music: one self-contained HTML page of any score, engraved files, and the assets that every page shares."""
