-- Tags on users and roles, which policies ask for as aws:PrincipalTag.
create table principal_tags (
    account_id text not null,
    -- The path of the principal's ARN.
    principal text not null,
    -- The key without case: what tells tags apart.
    folded_key text not null,
    key text not null,
    value text not null,
    constraint principal_tags_pkey primary key (account_id, principal, folded_key),
    constraint principal_tags_principal_fkey foreign key (account_id, principal)
        references principals (account_id, path) on delete cascade
);
