-- Engine releases beyond the built-in ones, from signed manifests, and what became of upgrades.
create table engine_artefacts (
    engine_type text not null,
    -- With its patch number, e.g. 4.2.1.
    engine_version text not null,
    release text not null,
    url text not null,
    -- What the file must be, and who vouches for it.
    sha256 text not null,
    size_bytes bigint not null,
    key_id text not null,
    signature text not null,
    -- Versions of the data format.
    reads integer[] not null,
    writes integer not null,
    released_on date not null,
    end_of_support date,
    withdrawn boolean not null,
    imported_at timestamptz not null,
    constraint engine_artefacts_pkey primary key (engine_type, engine_version, release)
);

-- Every manifest that was imported, as it was signed.
create table engine_manifests (
    serial bigint not null,
    document text not null,
    signed_by text not null,
    imported_at timestamptz not null,
    constraint engine_manifests_pkey primary key (serial)
);

-- The lines of the built-in engine stay where processes of the previous release read them.
alter table engine_releases
    add column patch_version text,
    add column reads integer[] not null default '{1,2}',
    add column writes integer not null default 2,
    add column released_on date not null default '2026-11-01',
    add column end_of_support date,
    add column withdrawn boolean not null default false;
update engine_releases set patch_version = case engine_version
    when '3.13' then '3.13.7' when '4.2' then '4.2.1' when '2.9' then '2.9.1' end;

-- The engine that the nodes ran with before the one that is applied.
alter table brokers add column previous_engine jsonb;

alter table maintenance_runs
    -- Why it failed, for people.
    add column reason text,
    -- Whether it failed and the nodes run as before. Not an outcome of its own, because processes
    -- of the previous release do not know that one.
    add column rolled_back boolean not null default false,
    -- The release that was left again: it is not given to the broker by itself a second time.
    add column shunned_release text,
    -- How long clients were kept away from each node.
    add column nodes jsonb not null default '[]';
create index maintenance_runs_shunned_idx on maintenance_runs (broker_id, shunned_release)
    where shunned_release is not null;
