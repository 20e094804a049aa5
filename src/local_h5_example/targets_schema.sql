CREATE TABLE field_valid_values (
    field_name VARCHAR NOT NULL,
    valid_value VARCHAR NOT NULL,
    description VARCHAR,
    PRIMARY KEY (field_name, valid_value)
);

CREATE TABLE strata (
    stratum_id INTEGER NOT NULL,
    definition_hash VARCHAR(64) NOT NULL,
    parent_stratum_id INTEGER,
    notes VARCHAR,
    PRIMARY KEY (stratum_id),
    CONSTRAINT uq_strata_definition_hash UNIQUE (definition_hash),
    FOREIGN KEY(parent_stratum_id) REFERENCES strata (stratum_id)
);

CREATE TABLE stratum_constraints (
    stratum_id INTEGER NOT NULL,
    constraint_variable VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    value VARCHAR NOT NULL,
    notes VARCHAR,
    PRIMARY KEY (stratum_id, constraint_variable, operation),
    FOREIGN KEY(stratum_id) REFERENCES strata (stratum_id)
);

CREATE TABLE targets (
    target_id INTEGER NOT NULL,
    variable VARCHAR NOT NULL,
    period INTEGER NOT NULL,
    stratum_id INTEGER NOT NULL,
    reform_id INTEGER NOT NULL,
    value FLOAT,
    active BOOLEAN NOT NULL,
    tolerance FLOAT,
    source VARCHAR,
    notes VARCHAR,
    PRIMARY KEY (target_id),
    CONSTRAINT _target_unique UNIQUE (variable, period, stratum_id, reform_id),
    FOREIGN KEY(stratum_id) REFERENCES strata (stratum_id)
);

CREATE INDEX ix_strata_parent_stratum_id ON strata (parent_stratum_id);

CREATE INDEX ix_targets_stratum_id ON targets (stratum_id);

CREATE TRIGGER validate_stratum_constraints_insert
BEFORE INSERT ON stratum_constraints
FOR EACH ROW
BEGIN
    SELECT CASE
        WHEN (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'operation'
              AND valid_value = NEW.operation) = 0
        THEN RAISE(ABORT,
             'Invalid operation value for stratum_constraints')
    END;
    SELECT CASE
        WHEN (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'constraint_variable'
              AND valid_value = NEW.constraint_variable) = 0
        THEN RAISE(ABORT,
             'Invalid constraint_variable for stratum_constraints')
    END;
END;

CREATE TRIGGER validate_stratum_constraints_update
BEFORE UPDATE ON stratum_constraints
FOR EACH ROW
BEGIN
    SELECT CASE
        WHEN (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'operation'
              AND valid_value = NEW.operation) = 0
        THEN RAISE(ABORT,
             'Invalid operation value for stratum_constraints')
    END;
    SELECT CASE
        WHEN (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'constraint_variable'
              AND valid_value = NEW.constraint_variable) = 0
        THEN RAISE(ABORT,
             'Invalid constraint_variable for stratum_constraints')
    END;
END;

CREATE TRIGGER validate_targets_insert
BEFORE INSERT ON targets
FOR EACH ROW
BEGIN
    SELECT CASE
        WHEN (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'active'
              AND valid_value = CAST(NEW.active AS TEXT)) = 0
        THEN RAISE(ABORT,
             'Invalid active value for targets')
    END;
    SELECT CASE
        WHEN (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'period'
              AND valid_value = CAST(NEW.period AS TEXT)) = 0
        THEN RAISE(ABORT,
             'Invalid period value for targets')
    END;
    SELECT CASE
        WHEN (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'variable'
              AND valid_value = NEW.variable) = 0
        THEN RAISE(ABORT,
             'Invalid variable value for targets')
    END;
    SELECT CASE
        WHEN NEW.source IS NOT NULL
        AND (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'source'
              AND valid_value = NEW.source) = 0
        THEN RAISE(ABORT,
             'Invalid source value for targets')
    END;
END;

CREATE TRIGGER validate_targets_update
BEFORE UPDATE ON targets
FOR EACH ROW
BEGIN
    SELECT CASE
        WHEN (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'active'
              AND valid_value = CAST(NEW.active AS TEXT)) = 0
        THEN RAISE(ABORT,
             'Invalid active value for targets')
    END;
    SELECT CASE
        WHEN (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'period'
              AND valid_value = CAST(NEW.period AS TEXT)) = 0
        THEN RAISE(ABORT,
             'Invalid period value for targets')
    END;
    SELECT CASE
        WHEN (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'variable'
              AND valid_value = NEW.variable) = 0
        THEN RAISE(ABORT,
             'Invalid variable value for targets')
    END;
    SELECT CASE
        WHEN NEW.source IS NOT NULL
        AND (SELECT COUNT(*) FROM field_valid_values
              WHERE field_name = 'source'
              AND valid_value = NEW.source) = 0
        THEN RAISE(ABORT,
             'Invalid source value for targets')
    END;
END;

CREATE VIEW stratum_domain AS
SELECT DISTINCT
    sc.stratum_id,
    sc.constraint_variable AS domain_variable
FROM stratum_constraints sc
WHERE sc.constraint_variable NOT IN (
    'state_fips', 'congressional_district_geoid',
    'tax_unit_is_filer', 'ucgid_str'
);

CREATE VIEW target_overview AS
SELECT
    t.target_id,
    t.stratum_id,
    t.variable,
    t.reform_id,
    t.value,
    t.period,
    t.active,
    CASE
        WHEN MAX(CASE
            WHEN sc.constraint_variable = 'congressional_district_geoid'
                THEN 1
            WHEN sc.constraint_variable = 'ucgid_str'
                AND length(sc.value) = 13 THEN 1
            ELSE 0 END) = 1 THEN 'district'
        WHEN MAX(CASE
            WHEN sc.constraint_variable = 'state_fips' THEN 1
            WHEN sc.constraint_variable = 'ucgid_str'
                AND length(sc.value) = 11 THEN 1
            ELSE 0 END) = 1 THEN 'state'
        ELSE 'national'
    END AS geo_level,
    COALESCE(
        MAX(CASE
            WHEN sc.constraint_variable
                = 'congressional_district_geoid'
            THEN sc.value END),
        MAX(CASE
            WHEN sc.constraint_variable = 'state_fips'
            THEN sc.value END),
        MAX(CASE
            WHEN sc.constraint_variable = 'ucgid_str'
            THEN sc.value END),
        'US'
    ) AS geographic_id,
    (
        SELECT GROUP_CONCAT(cv, ',')
        FROM (
            SELECT DISTINCT sc2.constraint_variable AS cv
            FROM stratum_constraints sc2
            WHERE sc2.stratum_id = t.stratum_id
              AND sc2.constraint_variable NOT IN (
                  'state_fips', 'congressional_district_geoid',
                  'tax_unit_is_filer', 'ucgid_str'
              )
            ORDER BY sc2.constraint_variable
        )
    ) AS domain_variable
FROM targets t
LEFT JOIN stratum_constraints sc ON t.stratum_id = sc.stratum_id
GROUP BY t.target_id, t.stratum_id, t.variable,
         t.reform_id, t.value, t.period, t.active;
