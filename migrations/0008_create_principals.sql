-- Users and roles of an account, and what their policies let them do. An account's root needs
-- none of these: it may do everything in its account.
create table principals (
    account_id text not null,
    -- The path of the principal's ARN: 'user/alice' or 'role/deployer'.
    path text not null,
    -- Never used again, so that what was given to a deleted principal is not its namesake's.
    unique_id text not null,
    -- Of roles: who may become it, and for how long at most.
    trust_policy text,
    session_s_max integer,
    created_at timestamptz not null,
    constraint principals_pkey primary key (account_id, path),
    constraint principals_unique_id_key unique (unique_id),
    constraint principals_account_id_fkey foreign key (account_id) references accounts (id),
    constraint principals_kind_check check (
        (path like 'user/%' and trust_policy is null and session_s_max is null)
        or (path like 'role/%' and trust_policy is not null and session_s_max is not null)
    )
);

-- The account's own policies, as their author wrote them.
create table policies (
    account_id text not null,
    name text not null,
    document text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint policies_pkey primary key (account_id, name),
    constraint policies_account_id_fkey foreign key (account_id) references accounts (id)
);

-- Which policies a principal has: the account's own by name, or one that every account has.
create table policy_attachments (
    account_id text not null,
    principal text not null,
    policy_name text,
    managed_name text,
    attached_at timestamptz not null,
    constraint policy_attachments_key
        unique nulls not distinct (account_id, principal, policy_name, managed_name),
    constraint policy_attachments_one_check check (num_nonnulls(policy_name, managed_name) = 1),
    constraint policy_attachments_principal_fkey foreign key (account_id, principal)
        references principals (account_id, path) on delete cascade,
    constraint policy_attachments_policy_fkey foreign key (account_id, policy_name)
        references policies (account_id, name)
);
create index policy_attachments_policy_idx on policy_attachments (account_id, policy_name);
create index access_keys_principal_idx on access_keys (account_id, principal);
