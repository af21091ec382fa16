-- Groups of users are kept beside users and roles: policies are attached to them alike.
alter table principals drop constraint principals_kind_check;
alter table principals add constraint principals_kind_check check (
    ((path like 'user/%' or path like 'group/%')
        and trust_policy is null and session_s_max is null)
    or (path like 'role/%' and trust_policy is not null and session_s_max is not null)
);

create table group_members (
    account_id text not null,
    -- Paths: 'group/ops' and 'user/alice'.
    group_path text not null,
    user_path text not null,
    added_at timestamptz not null,
    constraint group_members_pkey primary key (account_id, user_path, group_path),
    constraint group_members_group_fkey foreign key (account_id, group_path)
        references principals (account_id, path) on delete cascade,
    constraint group_members_user_fkey foreign key (account_id, user_path)
        references principals (account_id, path) on delete cascade,
    constraint group_members_kind_check
        check (group_path like 'group/%' and user_path like 'user/%')
);
create index group_members_group_idx on group_members (account_id, group_path);

-- Policies that are part of one user, role or group, and go with it.
create table inline_policies (
    account_id text not null,
    principal text not null,
    name text not null,
    document text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint inline_policies_pkey primary key (account_id, principal, name),
    constraint inline_policies_principal_fkey foreign key (account_id, principal)
        references principals (account_id, path) on delete cascade
);

-- When a session of a role was last used; of users, their keys say it.
alter table principals add column last_used_at timestamptz;
