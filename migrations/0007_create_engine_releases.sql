-- The catalogue: which engine release serves which compatibility profile.
create table engine_releases (
    engine_type text not null,
    -- The version clients see and ask for, e.g. 3.13.
    engine_version text not null,
    -- The release of our engine, and where its artefact comes from ('builtin' is the agent's own binary).
    release text not null,
    artefact text not null,
    created_at timestamptz not null,
    constraint engine_releases_pkey primary key (engine_type, engine_version)
);
insert into engine_releases (engine_type, engine_version, release, artefact, created_at) values
    ('RABBITMQ', '3.13', '0.1.0', 'builtin', now()),
    ('RABBITMQ', '4.2', '0.1.0', 'builtin', now()),
    ('LAVINMQ', '2.9', '0.1.0', 'builtin', now());
