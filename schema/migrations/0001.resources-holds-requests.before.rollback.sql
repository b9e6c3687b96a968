drop table requests, holds, pools, resources;
