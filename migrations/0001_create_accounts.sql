-- Who may call the API. Secrets are sealed under the master key: SigV4 needs them
-- back in clear, so they cannot be hashes.
create table accounts (
    id text not null,
    name text not null,
    created_at timestamptz not null,
    constraint accounts_pkey primary key (id),
    constraint accounts_name_key unique (name),
    constraint accounts_id_check check (id ~ '^[0-9]{12}$')
);

create table access_keys (
    id text not null,
    account_id text not null,
    -- The ARN path of the principal that the key speaks for, e.g. 'root' or 'user/alice'.
    principal text not null,
    secret_sealed bytea not null,
    enabled boolean not null default true,
    created_at timestamptz not null,
    last_used_at timestamptz,
    constraint access_keys_pkey primary key (id),
    constraint access_keys_account_id_fkey foreign key (account_id) references accounts (id)
);

-- One row: the installation's own certificate authority.
create table certificate_authorities (
    id integer not null,
    certificate_pem text not null,
    key_sealed bytea not null,
    created_at timestamptz not null,
    constraint certificate_authorities_pkey primary key (id),
    constraint certificate_authorities_single check (id = 1)
);
